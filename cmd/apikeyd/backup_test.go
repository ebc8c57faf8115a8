package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// witness is what clients were told about one key before a backup began.
type witness struct {
	id, secret, dead string // dead is a secret that was rotated out
	revoked          bool
}

// crowd is many clients that create, rotate and revoke keys until they are told to stop.
type crowd struct {
	mu        sync.Mutex
	witnesses []witness
	clients   sync.WaitGroup
	stop      chan struct{}
}

func gather(t *testing.T, s *server, clients int) *crowd {
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
				w, err := s.live(admin, fmt.Sprintf("%d-%d", i, n), n)
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

// live gives a key one of three lives.
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

// known returns what was acknowledged until now, when that is enough.
func (c *crowd) known(enough int) []witness {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
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

// A backup that is taken under full write load restores to a store with every key that was
// acknowledged before it began, and each secret is worth then what it was worth.
func TestBackupUnderFullLoad(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	clients := gather(t, s, 16)
	verified := 0
	for round := range 3 {
		before := clients.known(100 * (round + 1))
		file := fmt.Sprintf("%d.bak", round)
		s.command("backup", file)

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
	clients.leave()
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

// plantKeys writes keys into a database, past any server.
func plantKeys(t *testing.T, path string, keys int) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < keys; i += 8 {
				now := time.Now()
				key, _, err := apikey.Policy{}.NewKey(now, apikey.Draft{
					Owner: "acme", Name: fmt.Sprint("planted ", i), ExpiresAt: now.Add(time.Hour),
				})
				if err == nil {
					err = db.CreateKey(t.Context(), store.Operator("test"), key)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// keysIn says how many keys are in a database that is sound.
func keysIn(t *testing.T, path string) int {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true}) // as the next server would
	must(t, err)
	must(t, db.Close())
	e, err := sqlstore.ExamineFile(t.Context(), path)
	must(t, err)
	defer func() { must(t, e.Close()) }()
	contents, err := e.All(t.Context())
	must(t, err)
	return contents.Keys
}

// A server that has the database keeps it, whatever restore is told.
func TestRestoreUnderAServer(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	s.command("backup", "keys.bak")
	cmd, err := program(s.dir, nil, "restore", "keys.bak", "--force")
	must(t, err)
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("another apikeyd serves this database; stop that server first")) {
		t.Errorf("restore says %q (%v)", out, err)
	}
	s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("ci"))
	s.wantDoctor("ok       server         one is using the database\n")
}

// Ctrl-C leaves nothing.
func TestInterruptBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plantKeys(t, filepath.Join(dir, "apikeyd.db"), 4000)
	must(t, os.WriteFile(filepath.Join(dir, "other"), nil, 0o600))
	for range 5 {
		p, err := launch(dir, nil, "backup", "keys.bak")
		must(t, err)
		must(t, p.wait(func() bool { // until it has begun
			parts, err := filepath.Glob(filepath.Join(dir, ".*.part"))
			return err == nil && len(parts) > 0
		}))
		must(t, p.cmd.Process.Signal(os.Interrupt))
		<-p.exited
		_, left := os.Stat(filepath.Join(dir, "keys.bak"))
		if !p.cmd.ProcessState.Success() {
			if left == nil || !strings.Contains(p.output.String(), "interrupted; keys.bak was not written") {
				t.Errorf("it says %q, and left %v", p.output.String(), left)
			}
		}
		if parts, _ := filepath.Glob(filepath.Join(dir, ".*.part")); len(parts) > 0 {
			t.Errorf("it left %q", parts)
		}
		_ = os.Remove(filepath.Join(dir, "keys.bak"))
	}
}

func (s *server) wantDoctor(line string) {
	s.t.Helper()
	if out := s.command("doctor"); !strings.Contains(out, line) {
		s.t.Errorf("the doctor says\n%s\nwant %q", out, line)
	}
}

// A file that came meanwhile stays, and the draft goes.
func TestDraftReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.bak")
	d, err := newDraft(path)
	must(t, err)
	must(t, os.WriteFile(path, []byte("precious"), 0o600))
	if err := d.place(path, false); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("error is %v", err)
	}
	d.discard()
	entries, err := os.ReadDir(dir)
	must(t, err)
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "precious" || len(entries) != 1 {
		t.Errorf("there are %v, and the file says %q (%v)", entries, text, err)
	}
}

// An audit log that was altered cannot be mended: the keys beside it must still be backed up
// and restored, with a word about it.
func TestBackupOfAnAlteredLog(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	path := filepath.Join(s.dir, "apikeyd.db")
	fault(t, path, `DROP TRIGGER audit_events_no_update`)
	fault(t, path, `UPDATE audit_events SET name = 'somebody else'`)
	for _, args := range [][]string{{"backup", "b"}, {"restore", "b", "--database", "new.db"}} {
		cmd, err := program(s.dir, nil, args...)
		must(t, err)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "WARNING: the audit log is not what was written: chain \"main\": event 1 ") {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
	}
	s.wantUnwell("FAILED   audit log      the audit log is not what was written: chain \"main\": event 1 ")
}
