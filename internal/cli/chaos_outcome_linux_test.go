//go:build full

package cli

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/client"
	postgrestest "apikeyd/internal/testkit/postgres"
)

// From some moment on, every sync fails: changes in flight at that moment have an unknown outcome,
// later ones are refused and not made, and reading and verifying continue. After a restart from the
// disk's content, only the unknown changes may be present or absent.
func TestChaosDiskKeepsNothing(t *testing.T) {
	t.Parallel()
	strace := findStrace(t)
	l, rounds := newLoad(t), max(2, *kills/40)
	for round := range rounds {
		dir := t.TempDir()
		s := serve(t, dir, "--metrics", "127.0.0.1:0")
		admin, first := s.adminKey(), len(l.keys)
		heals := round%2 == 1
		l.runUntil(s, func(made, _ int) bool { return made >= 50 })
		release := s.trace(strace, os.DevNull, "trace=fsync,fdatasync", "inject=fsync,fdatasync:error=EIO")
		l.runUntil(s, func(_, refused int) bool { return refused >= 100 })
		if text := s.scrape(); !strings.Contains(text, "\napikeyd_changes_suspended 1\n") ||
			strings.Contains(text, "\napikeyd_commit_outcomes_unknown_total 0\n") {
			t.Error("the metrics do not say that changes are suspended, or why")
		}
		s.want(http.StatusOK, "GET", "/readyz", "", "")
		if code := s.verdict(admin, admin); code != "VALID" {
			t.Errorf("while no change is made a good key is %s", code)
		}
		s.wantLog("no changes are made until the disk works again")
		if heals {
			release()
			s.wantLog("unknown was not made; changes are made again")
			s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("healed"))
			if !strings.Contains(s.scrape(), "\napikeyd_changes_suspended 0\n") {
				t.Error("the metrics say that changes are still suspended")
			}
			l.check(s, l.keys[first:], true)
		}
		s.kill()
		again := serve(t, dir)
		l.check(again, l.keys[first:], heals)
		l.checkRefused(again)
		again.command("audit", "verify")
		must(t, again.terminate())
	}
	if unknown := fmt.Sprint(l.unknown); unknown == "map[]" {
		t.Error("no outcome was unknown: the test shows nothing")
	}
	l.report("a disk that keeps nothing", rounds)
}

// runUntil has clients change keys until this many changes were made and refused.
func (l *load) runUntil(s *server, enough func(made, refused int) bool) {
	l.t.Helper()
	var made atomic.Int64
	before, stop := l.refusals(), make(chan struct{})
	go func() {
		defer close(stop)
		if err := s.wait(func() bool { return enough(int(made.Load()), l.refusals()-before) }); err != nil {
			l.t.Error(err)
		}
	}()
	l.run(s, 8, stop, func() { made.Add(1) })
}

// PostgreSQL ends all sessions when it cannot write its log, and recovers: a change whose COMMIT got
// no answer is reported as made, not made or unknown, and each report is true.
func TestChaosPostgresDiskErrors(t *testing.T) {
	t.Parallel()
	s, url, recoveries, release := serveOnFailingPostgres(t, 40)
	l := newLoad(t)
	// How many changes are refused depends on the time that a recovery takes: none if it is short.
	l.runUntil(s, func(made, _ int) bool { return made >= 100 && recoveries() >= 3 })
	release()
	l.checkPostgres(s, url)
	l.report("disk errors of PostgreSQL", 1)
}

// PostgreSQL disappears during a commit for longer than any caller waits: the outcome is unknown, and
// the change is complete or absent.
func TestChaosPostgresStaysAway(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t)
	url := cluster.Database(t)
	s, l := servePostgres(t, t.TempDir(), url), newLoad(t)
	l.runUntil(s, func(made, _ int) bool { return made >= 50 })
	cluster.WithoutStandby(t) // from now on no COMMIT ends
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if err := s.wait(func() bool {
			return cluster.SQL(t, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'") != "0"
		}); err != nil {
			t.Error(err)
		}
		cluster.Kill()
	}()
	l.runUntil(s, func(_, refused int) bool { return refused > 0 })
	<-gone
	cluster.Run(t, "synchronous_standby_names=")
	l.checkPostgres(s, url)
	if len(l.unknown) == 0 {
		t.Error("no outcome was unknown: the test shows nothing")
	}
	l.report("a PostgreSQL that stays away", 1)
}

// checkPostgres checks everything once a server's database is back.
func (l *load) checkPostgres(s *server, url string) {
	l.t.Helper()
	must(l.t, s.wait(func() bool { return s.call("GET", "/readyz", "", "").status == http.StatusOK }))
	l.check(s, l.keys, false)
	l.checkRefused(s, "--database", url)
	l.checkAudit(s, "--database", url)
	if len(l.silent) > 0 {
		l.t.Errorf("not answered: %v", l.silent)
	}
}

// serveOnFailingPostgres starts a server on a PostgreSQL that ends all sessions and recovers after this
// many commits of a session; recoveries counts how often it did.
func serveOnFailingPostgres(t *testing.T, commits int) (s *server, url string, recoveries func() int, release func()) {
	t.Helper()
	strace := findStrace(t)
	cluster := postgrestest.Start(t)
	url = cluster.Database(t)
	dir := t.TempDir()
	must(t, servePostgres(t, dir, url).terminate()) // the migrations have commits too
	release = trace(t, strace, cluster.PID(), os.DevNull, "trace=fdatasync",
		fmt.Sprintf("inject=fdatasync:error=EIO:when=%d+%[1]d", commits))
	recoveries = func() int { return strings.Count(cluster.Log(t), "reinitializing") }
	return servePostgres(t, dir, url), url, recoveries, release
}

// A rotation with a grace is made at most once, whether the server repeats it after PostgreSQL's
// recovery or a client that retries as documented does: the secret in use never ends.
func TestChaosRotationsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for name, failing := range map[string]func(*testing.T) (s *server, failures func(repeated int) int, release func()){
		"PostgreSQL": func(t *testing.T) (*server, func(int) int, func()) {
			s, _, recoveries, release := serveOnFailingPostgres(t, 15)
			return s, func(int) int { return recoveries() }, release
		},
		"SQLite": func(t *testing.T) (*server, func(int) int, func()) {
			s := serve(t, t.TempDir())
			release := s.trace(findStrace(t), os.DevNull, "trace=fsync", "inject=fsync:error=EIO:when=5+3")
			return s, func(repeated int) int { return repeated }, release
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, failures, release := failing(t)
			counter := &countedRequests{}
			c, err := client.New(s.url, s.adminKey(), client.Options{HTTPClient: &http.Client{Transport: counter}})
			must(t, err)
			calls, failed := 0, 0
			// On a slow machine more changes share a commit, so it takes longer until one fails.
			for round := 0; round < 10 && failed == 0; round++ {
				for outcome, n := range rotateMany(t, c, fmt.Sprint("round ", round), 8, 4) {
					t.Logf("%s: %d", outcome, n)
					calls += n
				}
				failed = failures(int(counter.sent.Load()) - calls)
			}
			release()
			t.Logf("%d calls; failures: %d", calls, failed)
			if failed == 0 {
				t.Error("nothing failed: the test shows nothing")
			}
		})
	}
}

// countedRequests counts a client's requests.
type countedRequests struct{ sent atomic.Int64 }

func (c *countedRequests) RoundTrip(r *http.Request) (*http.Response, error) {
	c.sent.Add(1)
	return http.DefaultTransport.RoundTrip(r)
}

// rotateMany rotates keys with a grace, and checks after each call that the secret in use before it
// still works. It returns the number of times each outcome occurred.
func rotateMany(t *testing.T, c *client.Client, names string, clients, each int) map[string]int {
	t.Helper()
	outcomes := make(map[string]int)
	var mu sync.Mutex
	note := func(what string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if code := client.CodeOf(err); code != "" {
			what += " " + code
		} else if err != nil {
			t.Error(err)
		}
		outcomes[what]++
	}
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for j := range each {
				key, err := c.Create(t.Context(), client.NewKey{Name: fmt.Sprint(names, " key ", i, " ", j), ExpiresAt: time.Now().Add(time.Hour)})
				note("create", err)
				if err != nil {
					continue
				}
				_, err = c.Rotate(t.Context(), key.ID, time.Hour)
				note("rotate", err)
				v, err := c.Verify(t.Context(), key.Secret.Reveal())
				note("verify", err)
				if err == nil && !v.Valid() {
					t.Errorf("the secret in use is %s after a rotation with a grace", v.Code)
				}
			}
		})
	}
	all.Wait()
	return outcomes
}
