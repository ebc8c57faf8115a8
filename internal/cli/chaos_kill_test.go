//go:build full

package cli

import (
	"flag"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The sizes of the tests named Chaos; make chaos sets larger ones.
var kills = flag.Int("kills", 4, "how often the chaos test kills the service")

// kill -9 at a random moment while many clients change keys: every acknowledged change is complete
// afterwards, and every other change is complete or absent.
func TestChaosKill(t *testing.T) {
	t.Parallel()
	const clients = 16 // so that several changes share a transaction
	dir := t.TempDir()
	l := newLoad(t)
	for range *kills {
		s := serve(t, dir)
		checked := len(l.keys)
		var made atomic.Int64
		enough, kill := 1+rand.Int64N(150), make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.run(s, clients, nil, func() {
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
		again := serve(t, dir)
		l.check(again, l.keys[checked:], false)
		again.kill() // while it wrote when keys were used, perhaps
	}
	s := serve(t, dir)
	l.check(s, l.keys, false)
	l.checkAudit(s)
	must(t, s.terminate())
	l.report("kill -9", *kills)
}

// kill -9 while the service starts: the next start succeeds, with one working first key.
func TestChaosKillAtStart(t *testing.T) {
	t.Parallel()
	for range *kills {
		dir := t.TempDir()
		for range 3 {
			p, err := launch(dir, nil, "serve", "--listen", "127.0.0.1:0")
			must(t, err)
			time.Sleep(rand.N(80 * time.Millisecond))
			p.kill()
		}
		s := serve(t, dir)
		s.want(http.StatusOK, "GET", "/v1/api-keys/admin", s.adminKey(), "")
		s.kill()
		if old, err := filepath.Glob(filepath.Join(dir, "admin.key.*")); err != nil || len(old) > 0 {
			t.Errorf("the file of an interrupted start was not adopted: %v (%v)", old, err)
		}
	}
}

// SIGTERM while many clients change keys: every accepted request is answered, and no unanswered change
// was made.
func TestChaosTerminate(t *testing.T) {
	t.Parallel()
	rounds := max(1, *kills/4)
	dir := t.TempDir()
	l := newLoad(t)
	for range rounds {
		s := serve(t, dir)
		begun := make(chan struct{})
		var made atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.run(s, 16, nil, func() {
				if made.Add(1) == 50 {
					close(begun)
				}
			})
		}()
		<-begun
		must(t, s.cmd.Process.Signal(syscall.SIGTERM))
		must(t, s.waitExit(exitOK))
		<-done
	}
	s := serve(t, dir)
	l.check(s, l.keys, true)
	l.checkAudit(s)
	if n := len(l.refused); n > 0 {
		t.Errorf("%d requests were refused", n)
	}
	l.report("SIGTERM", rounds)
}
