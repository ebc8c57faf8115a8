package cli

import (
	"net/http"
	"strings"
	"testing"
)

// A running server learns of a backup from the database, and goes on.
func TestServerKnowsItsLastBackup(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--metrics", "127.0.0.1:0")
	const metric, none = "apikeyd_last_backup_timestamp_seconds", "No backup made yet with <code>apikeyd backup</code>"
	must(t, s.wait(func() bool { return strings.Contains(s.scrape(), "\napikeyd_keys{") })) // it has looked
	if strings.Contains(s.scrape(), metric) {
		t.Error("the metrics know a backup before there is one")
	}
	cookie := s.signIn(s.adminKey())
	if got := s.page("/console/server", cookie); !strings.Contains(got.text, none) {
		t.Errorf("before the backup the console says\n%s", got.text)
	}
	s.command("backup", "keys.bak")
	if got := s.page("/console/server", cookie); strings.Contains(got.text, none) || !strings.Contains(got.text, "<dt>Last backup</dt><dd><time ") {
		t.Errorf("after the backup the console says\n%s", got.text)
	}
	s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("ci"))
	must(t, s.terminate())
	s = serve(t, s.dir, "--metrics", "127.0.0.1:0")
	must(t, s.wait(func() bool { return strings.Contains(s.scrape(), "\n"+metric+" 1.") }))
}
