//go:build full

package cli

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// witness is what the server acknowledged about one key before a backup began.
type witness struct {
	id, secret, dead string // dead is a secret that was rotated out
	revoked          bool
}

// crowd is many clients that create, rotate and revoke keys until they are stopped.
type crowd struct {
	mu        sync.Mutex
	witnesses []witness
	clients   sync.WaitGroup
	stop      chan struct{}
}

// gather starts a crowd whose keys' names have this prefix.
func gather(t *testing.T, s *server, clients int, name string) *crowd {
	t.Helper()
	c := &crowd{stop: make(chan struct{})}
	admin := s.adminKey()
	for i := range clients {
		c.clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-c.stop:
					return
				default:
				}
				w, err := s.live(admin, fmt.Sprintf("%s-%d-%d", name, i, n), n)
				if err != nil {
					t.Error(err)
					return
				}
				c.mu.Lock()
				c.witnesses = append(c.witnesses, w)
				c.mu.Unlock()
			}
		})
	}
	t.Cleanup(c.leave)
	return c
}

// live puts a key through one of three life cycles.
func (s *server) live(admin, name string, n int) (w witness, err error) {
	expect := func(status int, method, path, body string) (a answer) {
		if err != nil {
			return a
		}
		if a, err = s.try(method, path, admin, body); err == nil && a.status != status {
			err = fmt.Errorf("%s %s: status %d: %s", method, path, a.status, a.body)
		}
		return a
	}
	created := expect(http.StatusCreated, "POST", "/v1/api-keys", keyJSON(name))
	w = witness{id: created.ID, secret: created.Secret}
	switch n % 3 {
	case 1:
		expect(http.StatusOK, "DELETE", "/v1/api-keys/"+w.id, "")
		w.revoked = true
	case 2:
		w.dead = w.secret
		w.secret = expect(http.StatusOK, "POST", "/v1/api-keys/"+w.id+"/rotate", `{"grace_seconds": 0}`).Secret
	}
	return w, err
}

// known returns everything acknowledged so far, once there is enough.
func (c *crowd) known(enough int) []witness {
	for deadline := time.Now().Add(stuck); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		known := slices.Clone(c.witnesses)
		c.mu.Unlock()
		if len(known) >= enough || time.Now().After(deadline) {
			return known
		}
	}
}

func (c *crowd) leave() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.clients.Wait()
}

// A backup taken under full write load contains every key that was acknowledged before it began, and
// each secret has the status that it had then.
func TestBackupUnderFullLoad(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	var before []witness
	verified := 0
	for round := range 3 {
		clients := gather(t, s, 16, fmt.Sprint(round))
		before = append(before, clients.known(100)...)
		file := fmt.Sprintf("%d.bak", round)
		s.command("backup", file)
		clients.leave() // looking at the backup needs no load

		dir := t.TempDir()
		s.command("restore", file, "--database", filepath.Join(dir, "apikeyd.db"))
		must(t, os.WriteFile(filepath.Join(dir, "admin.key"), []byte(s.adminKey()+"\n"), 0o600))
		restored := serve(t, dir)
		for _, w := range before {
			want := "VALID"
			if w.revoked {
				want = "REVOKED"
			}
			restored.wantVerdict(w, w.secret, want)
			if w.dead != "" {
				restored.wantVerdict(w, w.dead, "NOT_FOUND")
			}
		}
		must(t, restored.terminate())
		verified += len(before)
	}
	s.want(http.StatusOK, "GET", "/v1/api-keys", s.adminKey(), "") // the server noticed nothing
	if out := s.output.String(); strings.Contains(out, "level=ERROR") || strings.Contains(out, "status=503") {
		t.Errorf("the server complains:\n%s", out)
	}
	t.Logf("3 backups, %d keys verified", verified)
}

func (s *server) wantVerdict(w witness, secret, want string) {
	s.t.Helper()
	a := s.want(http.StatusOK, "POST", "/v1/verify", s.adminKey(), fmt.Sprintf(`{"key":%q}`, secret))
	if !strings.Contains(a.body, fmt.Sprintf(`"code":%q`, want)) {
		s.t.Errorf("key %s, revoked %t, rotated %t: want %s, got %s", w.id, w.revoked, w.dead != "", want, a.body)
	}
}
