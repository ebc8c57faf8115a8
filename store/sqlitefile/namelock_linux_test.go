package sqlitefile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store/migratestore"
	"apikeyd/store/sqlitefile"
	"apikeyd/store/sqlstore"
)

// linked returns a second name of a file, in a folder of its own.
func linked(t *testing.T, path string) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "keys.db")
	must(t, os.Link(path, link))
	return link
}

// openers are all ways to open a database file.
func openers(t *testing.T, path string) map[string]func() error {
	t.Helper()
	closed := func(c interface{ Close() error }, err error) error {
		if err == nil {
			must(t, c.Close())
		}
		return err
	}
	elsewhere := databasetest.NewPath(t)
	databasetest.Initialise(t, elsewhere)
	return map[string]func() error{
		"serve": func() error {
			db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
			return closed(db, err)
		},
		"command line": func() error {
			db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
			return closed(db, err)
		},
		"doctor": func() error {
			e, err := sqlstore.Examine(t.Context(), path)
			return closed(e, err)
		},
		"restore from": func() error {
			e, err := sqlstore.ExamineFile(t.Context(), path)
			return closed(e, err)
		},
		"restore to": func() error {
			site, err := sqlitefile.OpenSite(path)
			return closed(site, err)
		},
		"backup": func() error {
			file, err := os.Create(filepath.Join(t.TempDir(), "backup"))
			must(t, err)
			return errors.Join(sqlstore.Backup(t.Context(), path, file, func(int, int) {}), file.Close())
		},
		"migrate from": func() error {
			_, err := migratestore.Move(t.Context(), migratestore.Options{From: path, To: databasetest.NewPath(t)})
			return err
		},
		"migrate to": func() error {
			_, err := migratestore.Move(t.Context(), migratestore.Options{From: elsewhere, To: path})
			return err
		},
	}
}

// A log beside each of two names would destroy the file. So nobody opens it under the second
// name while it is open under the first, and nothing is left beside the second.
func TestSecondNameOfAnOpenFile(t *testing.T) {
	t.Parallel()
	for _, serve := range []bool{true, false} {
		path := databasetest.NewPath(t)
		databasetest.Initialise(t, path)
		link := linked(t, path)
		first := databasetest.OpenWith(t, sqlstore.Options{Path: path, Serve: serve})
		for name, open := range openers(t, link) {
			err := open()
			wantErr(t, err, sqlitefile.ErrOtherName)
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), link) {
				t.Errorf("%s: %v does not say both names", name, err)
			}
		}
		databasetest.WantFiles(t, filepath.Dir(link), "keys.db")
		databasetest.Create(t, first, "ci")
		must(t, first.Close())
		// Once it is closed, the other name works too.
		other := databasetest.Open(t, link)
		databasetest.WantKey(t, other, "ci")
		_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
		wantErr(t, err, sqlitefile.ErrOtherName)
	}
}

// Links that lead to one name do not count as other names.
func TestManyWaysToOneName(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	databasetest.Create(t, databasetest.Open(t, path), "ci")
	folder := filepath.Join(t.TempDir(), "folder")
	must(t, os.Symlink(filepath.Dir(path), folder))
	link := filepath.Join(t.TempDir(), "link.db")
	must(t, os.Symlink(path, link))
	for _, way := range []string{path, filepath.Join(folder, "keys.db"), link} {
		databasetest.WantKey(t, databasetest.OpenBeside(t, way), "ci")
	}
}

// Two names in one folder count as two.
func TestSecondNameInOneFolder(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	databasetest.Open(t, path)
	link := path + "2"
	must(t, os.Link(path, link))
	_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: link})
	wantErr(t, err, sqlitefile.ErrOtherName)
	_, err = migratestore.Move(t.Context(), migratestore.Options{From: path, To: link})
	wantErr(t, err, migratestore.ErrSame)
}

// Closing a descriptor of a file releases the process's POSIX locks on it, including SQLite's. Inspecting an open
// database, or being refused, must not release them.
func TestSQLiteKeepsItsLocks(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	databasetest.Create(t, db, "ci")
	link := linked(t, path)
	want := posixLocks(t, path)
	if want == 0 {
		t.Fatal("SQLite holds no locks")
	}
	for _, name := range []string{path, link} {
		for opener, open := range openers(t, name) {
			if err := open(); name == link && err == nil {
				t.Errorf("%s of a second name succeeded", opener)
			}
			if got := posixLocks(t, path); got < want {
				t.Fatalf("after %s SQLite holds %d locks, before %d", opener, got, want)
			}
		}
	}
}

// posixLocks counts the process's POSIX locks on a file. A reader of /proc/locks may miss one while other processes
// release theirs, so the highest of several counts is right.
func posixLocks(t *testing.T, path string) (most int) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	lock := regexp.MustCompile(fmt.Sprintf(`POSIX .* %d [0-9a-f]+:[0-9a-f]+:%d `,
		os.Getpid(), info.Sys().(*syscall.Stat_t).Ino))
	for range 5 {
		text, err := os.ReadFile("/proc/locks")
		must(t, err)
		most = max(most, len(lock.FindAll(text, -1)))
	}
	return most
}

// The changes that a killed server acknowledged are in its log, beside the name that it used.
func TestLogBesideAnotherName(t *testing.T) {
	t.Parallel()
	for how, rename := range map[string]func(from, to string) error{"linked": os.Link, "moved": os.Rename} {
		path := databasetest.NewPath(t)
		db := databasetest.Open(t, path)
		databasetest.Create(t, db, "ci")
		log, err := os.ReadFile(path + "-wal")
		must(t, err)
		must(t, db.Close())
		must(t, os.WriteFile(path+"-wal", log, 0o600))

		other := filepath.Join(t.TempDir(), "other.db")
		must(t, rename(path, other))
		for opener, open := range openers(t, other) {
			if err := open(); !errors.Is(err, sqlitefile.ErrOtherLog) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s, %s: error is %v", how, opener, err)
			}
		}
		must(t, os.Rename(path+"-wal", other+"-wal")) // as the message says
		databasetest.WantKey(t, databasetest.Open(t, other), "ci")
	}
}
