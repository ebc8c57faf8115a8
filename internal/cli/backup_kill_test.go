//go:build full

package cli

import (
	"fmt"
	"math/rand/v2"
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

// killSoon runs a command and kills it at a random moment of its usual running time. It reports
// whether the command finished first.
func killSoon(t *testing.T, dir string, usual time.Duration, args ...string) (ended bool) {
	t.Helper()
	p, err := launch(dir, nil, args...)
	must(t, err)
	time.Sleep(time.Duration(rand.Int64N(int64(usual))))
	p.kill()
	return p.cmd.ProcessState.Success()
}

// timed runs a command to its end and measures it.
func timed(t *testing.T, dir string, args ...string) time.Duration {
	t.Helper()
	began := time.Now()
	cmd, err := apikeyd(dir, nil, args...)
	must(t, err)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("apikeyd %q: %v\n%s", args, err, out)
	}
	return time.Since(began)
}

// kill -9 of a backup leaves either the old backup or the whole new one. kill -9 of a restore leaves
// either the old database, with everything in its log, or the new one.
func TestKillBackupAndRestore(t *testing.T) {
	t.Parallel()
	const older, newer = 400, 4000
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	plantKeys(t, at("older.db"), older)
	plantKeys(t, at("newer.db"), newer)
	timed(t, dir, "backup", "older.bak", "--database", "older.db")
	usualBackup := timed(t, dir, "backup", "newer.bak", "--database", "newer.db")
	usualRestore := timed(t, dir, "restore", "newer.bak", "--database", "drill.db")
	crashed := crashedServer(t)

	ended := map[string]int{}
	for range 8 * *kills {
		copyFile(t, at("older.bak"), at("keys.bak"))
		if killSoon(t, dir, usualBackup+usualBackup/4, "backup", "keys.bak", "--force", "--database", "newer.db") {
			ended["backup"]++
		}
		must(t, os.RemoveAll(at("checked.db")))
		timed(t, dir, "restore", "keys.bak", "--database", "checked.db")
		if got := keysIn(t, at("checked.db")); got != older && got != newer {
			t.Errorf("the backup has %d keys, want %d or %d", got, older, newer)
		}

		target := filepath.Join(t.TempDir(), "apikeyd.db")
		for _, suffix := range []string{"", "-wal", "-shm"} {
			copyFile(t, crashed.path+suffix, target+suffix)
		}
		if killSoon(t, dir, usualRestore+usualRestore/4, "restore", "newer.bak", "--force", "--database", target) {
			ended["restore"]++
		}
		if got := keysIn(t, target); got != crashed.keys && got != newer {
			t.Errorf("the database has %d keys, want %d or %d", got, crashed.keys, newer)
		}
	}
	t.Logf("%d kills each; came to their end before: %v", 8**kills, ended)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, text, 0o600))
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

// plantWorkers is how many keys are written at once: concurrent writes share a transaction.
const plantWorkers = 64

// plantKeys writes keys directly into a database, without a server.
func plantKeys(t *testing.T, path string, keys int) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	var wg sync.WaitGroup
	for worker := range plantWorkers {
		wg.Go(func() {
			for i := worker; i < keys; i += plantWorkers {
				now := time.Now()
				key, _, err := apikey.Policy{}.NewKey(now, apikey.Settings{
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

// keysIn returns the number of keys in a valid database.
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
