//go:build full

package cli

import (
	"net/http"
	"strings"
	"testing"

	postgrestest "apikeyd/internal/testkit/postgres"
)

// servePostgres starts a server on a database of a private cluster.
func servePostgres(t *testing.T, dir, url string, args ...string) *server {
	t.Helper()
	return serve(t, dir, append([]string{"--database", url}, args...)...)
}

// The contract is the same with every database.
func TestPostgres(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, "fsync=off")
	url := cluster.Database(t)
	s := servePostgres(t, t.TempDir(), url, "--node", "a", "--auth-failures-per-minute", "0")
	out, stderr, status := conform(t, s.dir, nil, "--url", s.url, "--key-file", "admin.key")
	if status != exitOK {
		t.Errorf("exit status %d\n%s%s", status, out, stderr)
	}
	secret := strings.TrimSpace(s.command("keys", "create", "--database", url, "--name", "by hand", "--expires-in", "1h"))
	s.want(http.StatusOK, "GET", "/v1/api-keys", secret, "")
	s.command("keys", "revoke", "--database", url, "by hand")
	s.want(http.StatusUnauthorized, "GET", "/v1/api-keys", secret, "")
	if out := s.command("audit", "verify", "--database", url); !strings.Contains(out, "chain command line: 2 events") {
		t.Errorf("audit verify says\n%s", out)
	}
	must(t, s.terminate())
}
