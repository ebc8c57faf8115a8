//go:build full

package cli

import (
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	postgrestest "apikeyd/internal/testkit/postgres"
)

// kill -9 at random moments while clients change keys and a receiver fails now and then: it gets every committed event at
// least once, and notices one that is withheld.
func TestChaosWebhooks(t *testing.T) {
	t.Parallel()
	dir, r, l := t.TempDir(), newReceiver(t), newLoad(t)
	r.fails = func() bool { return rand.IntN(20) == 0 }
	allow := []string{"--webhook-allow", "127.0.0.1"}
	s := serve(t, dir, allow...)
	r.subscribe(s)
	for range *kills {
		loadAndKill(l, s, 1+rand.Int64N(100))
		s = serve(t, dir, allow...)
	}
	r.mu.Lock()
	r.fails = nil
	r.mu.Unlock()
	r.settle(s, *kills)
	l.checkAudit(s)
	must(t, s.terminate())
}

// loadAndKill has clients make about so many changes, and kills the server.
func loadAndKill(l *load, s *server, enough int64) {
	var made atomic.Int64
	kill, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		l.run(s, 8, nil, func() {
			if made.Add(1) == enough {
				close(kill)
			}
		})
	}()
	select {
	case <-kill:
	case <-s.exited:
	}
	s.kill()
	<-done
}

// settle waits until everything has arrived, and checks that a receiver's log proves it.
func (r *receiver) settle(s *server, rounds int) {
	r.t.Helper()
	export := s.command("audit", "export")
	var missing []string
	for end := time.Now().Add(3 * patience); ; time.Sleep(200 * time.Millisecond) {
		if missing = r.have(export, 3); len(missing) == 0 { // 1 is the first key, and 2 the webhook
			break
		}
		if time.Now().After(end) {
			r.t.Fatalf("%d events never arrived: %v", len(missing), missing[:min(3, len(missing))])
		}
	}
	s.command("audit", "verify", "--received", r.file(func(int) bool { return false }))
	r.mu.Lock()
	events, taken := len(r.times), len(r.log)
	withheld := rand.IntN(taken/2) + taken/4
	id := r.log[withheld]
	r.mu.Unlock()
	without := r.file(func(i int) bool { return r.log[i] == id })
	if _, _, status := runHere(r.t, "", "audit", "verify", "--database", filepath.Join(s.dir, defaultDatabase), "--received", without); status != exitFailure {
		r.t.Errorf("one event was withheld, and verifying exits with %d", status)
	}
	r.t.Logf("%d rounds: %d events, all of them received; %d more than once; 0 missing", rounds, events, taken-events)
}

// Three nodes on PostgreSQL, one of which delivers and is killed: another one takes over, and nothing is missing.
func TestChaosWebhookNodes(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t)
	url, dir, r, l := cluster.Database(t), t.TempDir(), newReceiver(t), newLoad(t)
	start := func(name string) *server {
		s := serve(t, dir, "--node", name, "--admin-key-file", "admin.key", "--auth-failures-per-minute", "0", "--database", url,
			"--webhook-allow", "127.0.0.1")
		s.env = []string{"APIKEYD_DATABASE=" + url}
		return s
	}
	nodes := []*server{start("a"), start("b"), start("c")}
	r.subscribe(nodes[0])
	for round := range *kills {
		i := round % len(nodes)
		loadAndKill(l, nodes[i], 1+rand.Int64N(60))
		nodes[i] = start([]string{"a", "b", "c"}[i])
	}
	nodes[0].want(http.StatusCreated, "POST", "/v1/api-keys", nodes[0].adminKey(), keyJSON("the last"))
	export := nodes[0].command("audit", "export")
	// What node a wrote before the webhook was created is not delivered.
	first := strings.Index(export, `"action":"create_webhook"`)
	export = export[first+strings.Index(export[first:], "\n")+1:]
	for end := time.Now().Add(5 * patience); ; time.Sleep(200 * time.Millisecond) {
		missing := r.have(export, 1)
		if len(missing) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d events never arrived", len(missing), strings.Count(export, "\n"))
		}
	}
	nodes[0].command("audit", "verify", "--received", r.file(func(int) bool { return false }))
	t.Logf("%d rounds: %d events, all of them received; %d more than once", *kills, len(r.times), len(r.log)-len(r.times))
	for _, s := range nodes {
		must(t, s.terminate())
	}
}
