//go:build full

package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// Another process holds the database's lock and never releases it: changes are refused eventually, and
// everything else continues.
func TestChaosLockedDatabase(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	admin := s.adminKey()
	shared, err := os.OpenFile(filepath.Join(s.dir, "apikeyd.db-shm"), os.O_RDWR, 0)
	must(t, err)
	defer func() { _ = shared.Close() }()
	// Where SQLite's write lock is in WAL mode (its file format, section 4.5).
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: 120, Len: 1}
	must(t, syscall.FcntlFlock(shared.Fd(), syscall.F_SETLK, &lock))

	var end atomic.Bool
	verified := make(chan int)
	go func() { verified <- s.verifyUntil(admin, &end) }()
	a := s.want(http.StatusServiceUnavailable, "POST", "/v1/api-keys", admin, keyJSON("locked out"))
	s.want(http.StatusOK, "GET", "/v1/api-keys", admin, "")
	s.want(http.StatusNotFound, "GET", "/v1/api-keys/locked%20out", admin, "")
	end.Store(true)
	t.Logf("%d verifications meanwhile; the change: %s", <-verified, a.Message)

	lock.Type = syscall.F_UNLCK
	must(t, syscall.FcntlFlock(shared.Fd(), syscall.F_SETLK, &lock))
	s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("locked out"))
	must(t, s.terminate())
}

// The disk returns other data than was written: once the server detects this, it serves nothing from
// that database and tells every caller why.
func TestChaosDamagedDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir)
	admin := s.adminKey()
	var ids []string
	for i := range 50 {
		ids = append(ids, s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON(fmt.Sprint("key ", i))).ID)
	}
	must(t, s.terminate())

	s = serve(t, dir, "--verify-cache", "0")
	database, err := os.OpenFile(filepath.Join(dir, "apikeyd.db"), os.O_RDWR, 0)
	must(t, err)
	defer func() { _ = database.Close() }()
	whole, err := io.ReadAll(database)
	must(t, err)
	_, err = database.WriteAt(make([]byte, len(whole)-2*4096), 2*4096)
	must(t, err)

	var a answer
	for _, id := range ids {
		a = s.call("GET", "/v1/api-keys/"+id, admin, "")
	}
	if a.status != http.StatusServiceUnavailable || !strings.Contains(a.Message, "damaged") {
		t.Errorf("the damage is told as %d %s", a.status, a.Message)
	}
	s.want(http.StatusServiceUnavailable, "POST", "/v1/verify", admin, fmt.Sprintf(`{"key":%q}`, admin))
	s.want(http.StatusServiceUnavailable, "POST", "/v1/api-keys", admin, keyJSON("late"))
	s.probe(http.StatusServiceUnavailable, "/readyz")
	s.probe(http.StatusOK, "/healthz")
	s.wantLog("the database is damaged")

	must(t, os.WriteFile(filepath.Join(dir, "apikeyd.db"), whole, 0o600)) // the backup
	s.kill()
	s = serve(t, dir)
	s.want(http.StatusOK, "GET", "/v1/api-keys/"+ids[0], admin, "")
}
