//go:build full

package cli

import (
	"net/http"
	"strings"
	"testing"
	"time"

	postgrestest "apikeyd/internal/testkit/postgres"
)

// The console lists the nodes of a PostgreSQL database. One that is killed is gone when its lease has ended, and one that
// stops is gone at once.
func TestNodesInTheConsole(t *testing.T) {
	t.Parallel()
	url, dir := postgrestest.Start(t, "fsync=off").Database(t), t.TempDir()
	node := func(name string) *server {
		return servePostgres(t, dir, url, "--node", name, "--metrics", "127.0.0.1:0", "--admin-key-file", "admin.key")
	}
	const answered = "<small>answered this page</small>"
	cookies := make(map[*server]string)
	shows := func(s *server, nodes ...string) bool {
		if cookies[s] == "" {
			cookies[s] = s.signIn(s.adminKey())
		}
		got := s.page("/console/server", cookies[s])
		all := strings.Count(got.text, `<th role="rowheader" scope="row"><bdi>`) == len(nodes)
		for _, node := range nodes {
			all = all && strings.Contains(got.text, node)
		}
		return all && got.status == http.StatusOK
	}
	first := node("node-one")
	if !shows(first, "<bdi>node-one</bdi>"+answered) {
		t.Error("a single node does not show itself")
	}
	second, third := node("node-two"), node("node-three")
	if !shows(first, "<bdi>node-one</bdi>"+answered, "<bdi>node-two</bdi></th>", "<bdi>node-three</bdi></th>") {
		t.Error("the first node does not show all three")
	}
	must(t, third.terminate())
	if !shows(second, "<bdi>node-one</bdi></th>", "<bdi>node-two</bdi>"+answered) {
		t.Error("a node that stopped is still there")
	}
	first.kill()
	killed := time.Now()
	must(t, second.wait(func() bool { return shows(second, "<bdi>node-two</bdi>"+answered) }))
	t.Logf("the killed node was gone after %s", time.Since(killed))

	// Backups of PostgreSQL are not apikeyd's.
	if text := second.page("/console/server", cookies[second]).text; !strings.Contains(text, "Not known: PostgreSQL is backed up with its own tools") {
		t.Errorf("the page says of backups:\n%s", text)
	}
	if text := second.scrape(); strings.Contains(text, "apikeyd_last_backup_timestamp_seconds") {
		t.Error("the metrics know a backup")
	}
}
