//go:build full

package sqlstore_test

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// The test starts a process, and tells it by these what to do.
const (
	fullDiskFolder = "SQLSTORE_TEST_FULL_DISK"
	fullDiskKind   = "SQLSTORE_TEST_FULL_DISK_KIND"
	smallDisk      = 256 << 10
)

// The store runs out of disk space in a process of its own, because both ways of making a
// disk small apply to a whole process: a limit on the size of files (EFBIG), and a small
// file system in a namespace of its own (ENOSPC).
func TestFullDisk(t *testing.T) {
	t.Parallel()
	id := func(inside, outside int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: inside, HostID: outside, Size: 1}}
	}
	tests := map[string]*syscall.SysProcAttr{
		"limit": nil,
		"mount": {
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: id(0, os.Getuid()),
			GidMappings: id(0, os.Getgid()),
		},
	}
	for kind, attributes := range tests {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInsideFullDisk$", "-test.v")
			cmd.Env = append(os.Environ(), fullDiskFolder+"="+t.TempDir(), fullDiskKind+"="+kind)
			cmd.SysProcAttr = attributes
			out, err := cmd.CombinedOutput()
			notStarted := err != nil && cmd.ProcessState == nil
			if attributes != nil && (notStarted || strings.Contains(string(out), "--- SKIP")) {
				t.Skipf("this user may not mount a file system in a name space of its own: %v\n%s", err, out)
			}
			if err != nil || !strings.Contains(string(out), "--- PASS: TestInsideFullDisk") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestInsideFullDisk is what that process runs; in a normal run it does nothing.
func TestInsideFullDisk(t *testing.T) {
	dir, inside := os.LookupEnv(fullDiskFolder)
	if !inside {
		return
	}
	var shrink, restore func()
	if kind, _ := os.LookupEnv(fullDiskKind); kind == "mount" {
		if err := syscall.Mount("none", dir, "tmpfs", 0, "size=16m"); err != nil {
			t.Skip(err)
		}
		filler := filepath.Join(dir, "filler")
		shrink = func() {
			if err := os.WriteFile(filler, make([]byte, 16<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("the disk should be full: %v", err)
			}
			info, err := os.Stat(filler)
			must(t, err)
			must(t, os.Truncate(filler, info.Size()-smallDisk))
		}
		restore = func() { must(t, os.Remove(filler)) }
	} else {
		signal.Ignore(syscall.SIGXFSZ)
		var limit syscall.Rlimit
		must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
		most := limit.Cur
		limitTo := func(size uint64) {
			limit.Cur = size
			must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
		}
		shrink = func() {
			info, err := os.Stat(filepath.Join(dir, "keys.db-wal"))
			must(t, err)
			limitTo(uint64(info.Size()) + smallDisk)
		}
		restore = func() { limitTo(most) }
	}
	fillDisk(t, filepath.Join(dir, "keys.db"), shrink, restore)
}

// fillDisk creates keys until the disk is full, three times, and checks that exactly the acknowledged keys
// exist.
func fillDisk(t *testing.T, path string, shrink, restore func()) {
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	first := databasetest.Create(t, db, "first")
	acknowledged := []apikey.Key{first}
	for range 3 {
		shrink()
		created, refused := createUntilFull(t, db)
		acknowledged = append(acknowledged, created...)
		wantExactly(t, db, acknowledged)
		restore()
		must(t, db.Ping(t.Context()))
		must(t, db.CreateKey(t.Context(), databasetest.Operator, refused)) // a retry succeeds
		acknowledged = append(acknowledged, refused)
		must(t, db.RecordUses(t.Context(), usesOf(acknowledged)))
	}
	shrink()
	created, _ := createUntilFull(t, db)
	acknowledged = append(acknowledged, created...)
	_ = db.Close() // it may fail for lack of space
	restore()
	again := databasetest.Open(t, path)
	wantExactly(t, again, acknowledged)
	databasetest.Create(t, again, "last")
}

// createUntilFull returns the keys that were acknowledged and the one that was not.
func createUntilFull(t *testing.T, db *sqlstore.DB) (created []apikey.Key, refused apikey.Key) {
	t.Helper()
	// Long names fill the disk quickly.
	filler := strings.Repeat("x", 200)
	for range 2000 {
		key, _ := databasetest.Draft(t, filler+apikey.NewID().String())
		err := db.CreateKey(t.Context(), databasetest.Operator, key)
		if err == nil {
			created = append(created, key)
			continue
		}
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("a full disk gives %v, want %v", err, store.ErrUnavailable)
		}
		if len(created) == 0 {
			t.Error("not one key fitted: the test shows less than it should")
		}
		return created, key
	}
	t.Fatal("the disk does not get full")
	return nil, apikey.Key{}
}

func usesOf(keys []apikey.Key) (uses []store.Use) {
	for _, key := range keys {
		uses = append(uses, store.Use{Key: key.ID, LastUsedAt: time.Now()})
	}
	return uses
}

// wantExactly checks that the store has exactly these keys, each with its audit event, and that
// the events are one chain: failed transactions left no gap.
func wantExactly(t *testing.T, db *sqlstore.DB, keys []apikey.Key) {
	t.Helper()
	page, err := db.Keys(t.Context(), store.Query{Limit: 100_000})
	must(t, err)
	events, err := db.AuditEvents(t.Context(), store.EventQuery{Limit: 100_000})
	must(t, err)
	var want, stored, audited []string
	for _, key := range keys {
		want = append(want, key.ID.String())
	}
	for _, key := range page.Keys {
		stored = append(stored, key.ID.String())
	}
	for _, event := range events {
		audited = append(audited, event.Key.String())
	}
	for what, got := range map[string][]string{"stored": stored, "audited": audited} {
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%d keys were acknowledged, %d are %s", len(want), len(got), what)
		}
	}
	wantWhole(t, db, int64(len(keys)))
}
