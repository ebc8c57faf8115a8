//go:build full

package cli

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/testkit/address"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/internal/testkit/program"
)

// pool starts PgBouncer in transaction mode in front of a cluster, and returns the URL of a database
// through it.
func pool(t *testing.T, cluster *postgrestest.Cluster, database string) string {
	t.Helper()
	url, _ := restartablePool(t, cluster, database)
	return url
}

// restartablePool is pool, with a function that restarts it.
func restartablePool(t *testing.T, cluster *postgrestest.Cluster, database string) (url string, restart func()) {
	t.Helper()
	pgbouncer := program.Path(t, "pgbouncer")
	_, port, err := net.SplitHostPort(address.Unused(t))
	must(t, err)
	host, to, err := net.SplitHostPort(cluster.Address)
	must(t, err)
	dir := t.TempDir()
	config := fmt.Sprintf(`[databases]
%[1]s = host=%[2]s port=%[3]s user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %[4]s
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
`, database, host, to, port)
	file := filepath.Join(dir, "pgbouncer.ini")
	args := []string{file}
	if os.Getuid() == 0 { // it does not run as root
		args = []string{"--user", "nobody", file}
	}
	must(t, os.WriteFile(file, []byte(config), 0o600))
	var p *process
	run := func() {
		p, err = start(bare(dir, nil, pgbouncer, args...))
		must(t, err)
		must(t, p.wait(func() bool {
			conn, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		}))
	}
	run()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("PgBouncer said:\n%s", p.output.End())
		}
	})
	restart = func() {
		p.kill()
		run()
	}
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%s/%s?sslmode=disable&connect_timeout=60", port, database), restart
}

// After a restart of PgBouncer, the first call of each kind succeeds: its connections were closed
// while idle, so no work had begun on them.
func TestPgBouncerRestarted(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, "fsync=off")
	url, restart := restartablePool(t, cluster, "postgres")
	s := servePostgres(t, t.TempDir(), url+"&default_query_exec_mode=exec", "--verify-cache", "0")
	admin := s.adminKey()
	for i := range 5 {
		restart()
		made := s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON(fmt.Sprint("key ", i)))
		restart()
		if code := s.verdict(admin, made.Secret); code != "VALID" {
			t.Errorf("the key is %s", code)
		}
		restart()
		s.want(http.StatusOK, "GET", "/v1/api-keys?status=ACTIVE", admin, "")
		restart()
		s.want(http.StatusOK, "GET", "/readyz", "", "")
	}
	s.kill()
}

// Without its setting, a pooler in transaction mode loses prepared statements. The log tells the
// operator so, as this is no defect of apikeyd.
func TestPgBouncerWithoutItsSetting(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, "fsync=off")
	direct := servePostgres(t, t.TempDir(), cluster.URL("postgres"))
	admin := direct.adminKey()
	must(t, direct.terminate())
	url := pool(t, cluster, "postgres")
	p, err := launch(direct.dir, nil, "serve", "--listen", "127.0.0.1:0", "--database", url, "--verify-cache", "0")
	must(t, err)
	defer p.kill()
	const setting = "default_query_exec_mode=exec"
	at, err := p.waitURL()
	if err != nil { // it failed before serving
		if !strings.Contains(p.output.String(), setting) {
			t.Errorf("the log does not name the setting:\n%s", p.output.End())
		}
		return
	}
	s := &server{process: p, t: t, dir: direct.dir, url: at}
	must(t, s.wait(func() bool {
		for i := range 8 {
			go func() { _, _ = s.try("GET", "/v1/api-keys?status=ACTIVE", admin, "") }()
			a := s.call("POST", "/v1/api-keys", admin, keyJSON(fmt.Sprint(apikey.NewID(), i)))
			if a.status >= 500 && a.status != http.StatusServiceUnavailable {
				t.Fatalf("status %d: %s", a.status, a.body)
			}
		}
		return strings.Contains(s.output.String(), setting)
	}))
}

// Everything works behind PgBouncer in transaction mode, except that LISTEN needs its own session: the
// changing node gets no acknowledgement, and waits for the others' leases to end.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, "fsync=off")
	const database = "postgres"
	// Statements are prepared in one session and used in another.
	pooled := servePostgres(t, t.TempDir(), pool(t, cluster, database)+"&default_query_exec_mode=exec", "--node", "pooled")
	direct := servePostgres(t, pooled.dir, cluster.URL(database), "--node", "direct")
	admin := pooled.adminKey()
	for name, at := range map[string]*server{"pooled": pooled, "direct": direct} {
		var took time.Duration
		for i := range 2 {
			created := at.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON(fmt.Sprint(name, i)))
			for _, n := range []*server{pooled, direct} {
				if code := n.verdict(admin, created.Secret); code != "VALID" {
					t.Errorf("a key made at the %s node is %s", name, code)
				}
			}
			began := time.Now()
			at.want(http.StatusOK, "DELETE", "/v1/api-keys/"+created.ID, admin, "")
			took = max(took, time.Since(began))
			for _, n := range []*server{pooled, direct} {
				if code := n.verdict(admin, created.Secret); code != "REVOKED" {
					t.Errorf("a key revoked at the %s node is %s", name, code)
				}
			}
		}
		t.Logf("the slower of two revocations at the %s node: %s", name, took.Round(time.Millisecond))
	}
	direct.kill() // both end at once: no change has to be announced
	pooled.kill()
}
