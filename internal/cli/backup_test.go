package cli

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// notReconciled is what the log and /readyz say about a restored database.
const notReconciled = "the database was restored from a backup and not reconciled: keys that were revoked since may work again"

// Restore never replaces a database that a server uses, whatever its flags.
func TestRestoreUnderAServer(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	s.command("backup", "keys.bak")
	cmd, err := apikeyd(s.dir, nil, "restore", "keys.bak", "--force")
	must(t, err)
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("another apikeyd serves this database; stop that server first")) {
		t.Errorf("restore says %q (%v)", out, err)
	}
	s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("ci"))
	s.wantDoctor("ok       server         one is using the database\n")
}

func (s *server) wantDoctor(line string) {
	s.t.Helper()
	if out := s.command("doctor"); !strings.Contains(out, line) {
		s.t.Errorf("the doctor says\n%s\nwant %q", out, line)
	}
}

// An altered audit log cannot be repaired: the keys next to it can still be backed up and restored,
// with a warning.
func TestBackupOfAnAlteredLog(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	path := filepath.Join(s.dir, "apikeyd.db")
	fault(t, path, `DROP TRIGGER audit_events_no_update`)
	fault(t, path, `UPDATE audit_events SET name = 'somebody else'`)
	for _, args := range [][]string{{"backup", "b"}, {"restore", "b", "--database", "new.db"}} {
		cmd, err := apikeyd(s.dir, nil, args...)
		must(t, err)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "WARNING: the audit log is not what was written: chain \"main\": event 1 ") {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
	}
	s.wantUnwell("FAILED   audit log      the audit log is not what was written: chain \"main\": event 1 ")
}

// A restored database that was not reconciled causes warnings everywhere, until an operator confirms.
func TestRestoredUntilConfirmed(t *testing.T) {
	t.Parallel()
	first := serve(t, t.TempDir())
	first.command("backup", "keys.bak")
	must(t, first.terminate())
	must(t, os.Remove(filepath.Join(first.dir, "apikeyd.db")))
	first.command("restore", "keys.bak")

	s := serve(t, first.dir, "--metrics", "127.0.0.1:0")
	if out := s.output.String(); !strings.Contains(out, "level=WARN") || !strings.Contains(out, notReconciled) {
		t.Errorf("the log says nothing:\n%s", out)
	}
	if a := s.want(http.StatusOK, "GET", "/readyz", "", ""); !strings.Contains(a.body, `"details":["`+notReconciled) {
		t.Errorf("/readyz says %s", a.body)
	}
	if !strings.Contains(s.scrape(), "\napikeyd_restore_unconfirmed 1\n") {
		t.Error("the metrics say nothing")
	}
	s.wantDoctor("warning  restore        restored at ")
	const banner = "run apikeyd restore --confirm on the server."
	cookie := s.signIn(s.adminKey())
	if got := s.page("/console", cookie); !strings.Contains(got.text, banner) {
		t.Errorf("the console says nothing:\n%s", got.text)
	}
	if got := s.page("/console/sign-in", ""); strings.Contains(got.text, banner) {
		t.Error("the console warns who is not signed in")
	}

	s.command("restore", "--confirm")
	must(t, s.wait(func() bool { return strings.Contains(s.output.String(), "the restore of the database was confirmed") }))
	if a := s.want(http.StatusOK, "GET", "/readyz", "", ""); a.body != "{\"status\":\"ok\"}\n" {
		t.Errorf("/readyz says %s", a.body)
	}
	if !strings.Contains(s.scrape(), "\napikeyd_restore_unconfirmed 0\n") {
		t.Error("the metrics still warn")
	}
	if got := s.page("/console", cookie); strings.Contains(got.text, banner) {
		t.Error("the console still warns")
	}
}

func TestProgressBar(t *testing.T) {
	var screen bytes.Buffer
	bar := progressBar{to: &screen}
	bar.copying(50, 200)
	bar.clear()
	want := "\r\x1b[Kcopying [##########..............................]  25 %\r\x1b[K"
	if screen.String() != want {
		t.Errorf("the bar is %q, want %q", screen.String(), want)
	}
	// Nothing to copy, and an output that is no terminal.
	bar.copying(0, 0)
	screen.Reset()
	newProgressBar(&screen).copying(1, 2)
	if screen.Len() > 0 {
		t.Errorf("what is no terminal shows %q", screen.String())
	}
}
