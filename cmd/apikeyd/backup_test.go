package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

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
	cmd, err := apikeyd(s.dir, nil, "restore", "keys.bak", "--force")
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
		cmd, err := apikeyd(s.dir, nil, args...)
		must(t, err)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "WARNING: the audit log is not what was written: chain \"main\": event 1 ") {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
	}
	s.wantUnwell("FAILED   audit log      the audit log is not what was written: chain \"main\": event 1 ")
}
