//go:build unix

package sqlstore_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	databasetest "apikeyd/internal/testkit/database"
)

// The umask applies to the whole process, so this test must not be parallel.
func TestFilesArePrivate(t *testing.T) {
	dir := t.TempDir()
	defer syscall.Umask(syscall.Umask(0))
	databasetest.Create(t, databasetest.Open(t, filepath.Join(dir, "keys.db")), "ci")
	entries, err := os.ReadDir(dir)
	must(t, err)
	seen := map[string]bool{}
	for _, entry := range entries {
		info, err := entry.Info()
		must(t, err)
		seen[entry.Name()] = true
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %s, want -rw-------", entry.Name(), info.Mode())
		}
	}
	for _, name := range []string{"keys.db", "keys.db-wal", "keys.db-shm", "keys.db.lock"} {
		if !seen[name] {
			t.Errorf("there is no %s", name)
		}
	}
}
