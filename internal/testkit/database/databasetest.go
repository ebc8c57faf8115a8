// Package databasetest opens databases for tests, like a server and like the command line, and checks
// their files. It is for tests only.
package databasetest

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// Operator is the actor of changes in tests.
var Operator = store.Operator("test")

// NewPath returns an unused path.
func NewPath(t testing.TB) string { return filepath.Join(t.TempDir(), "keys.db") }

// Open opens a database like a server, until the test ends.
func Open(t testing.TB, path string) *sqlstore.DB {
	t.Helper()
	return OpenWith(t, sqlstore.Options{Path: path, Serve: true})
}

// OpenBeside opens a database like the command line, until the test ends.
func OpenBeside(t testing.TB, path string) *sqlstore.DB {
	t.Helper()
	return OpenWith(t, sqlstore.Options{Path: path})
}

// OpenWith opens a database until the test ends.
func OpenWith(t testing.TB, o sqlstore.Options) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), o)
	must(t, err)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Initialise creates an empty database at path and closes it.
func Initialise(t testing.TB, path string) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	must(t, db.Close())
}

// Raw opens a connection that bypasses the store, until the test ends. It creates the file.
func Raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	dsn := url.URL{Scheme: "file", Path: path}
	db, err := sql.Open("sqlite", dsn.String())
	must(t, err)
	db.SetMaxOpenConns(1) // so that BEGIN and COMMIT use the same one
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// Execute runs one statement.
func Execute(t testing.TB, db *sql.DB, statement string) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), statement)
	must(t, err)
}

// Draft makes a key, which is not stored yet, and its secret.
func Draft(t testing.TB, name string) (apikey.Key, apikey.Secret) {
	t.Helper()
	now := time.Now()
	key, secret, err := apikey.Policy{}.NewKey(now, apikey.Settings{
		Owner: "acme", Name: name, Scopes: apikey.Scopes{apikey.ScopeRead}, ExpiresAt: now.Add(time.Hour),
	})
	must(t, err)
	return key, secret
}

// Create creates a key.
func Create(t testing.TB, db *sqlstore.DB, name string) apikey.Key {
	t.Helper()
	key, _ := Draft(t, name)
	must(t, db.CreateKey(t.Context(), Operator, key))
	return key
}

// CreateMany creates keys concurrently, so that many of them share one sync of the disk.
func CreateMany(t testing.TB, db *sqlstore.DB, name string, n int) []apikey.Key {
	t.Helper()
	keys, errs := make([]apikey.Key, n), make([]error, n)
	var all sync.WaitGroup
	for i := range keys {
		keys[i], _ = Draft(t, fmt.Sprint(name, " ", i))
		all.Go(func() { errs[i] = db.CreateKey(t.Context(), Operator, keys[i]) })
	}
	all.Wait()
	must(t, errors.Join(errs...))
	return keys
}

// WantKey fails the test if there is no key with this name.
func WantKey(t testing.TB, db *sqlstore.DB, name string) {
	t.Helper()
	if _, err := db.Key(t.Context(), store.ByName("acme", name)); err != nil {
		t.Errorf("key %q: %v", name, err)
	}
}

// WantFiles fails the test unless a folder contains exactly these files.
func WantFiles(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != len(want) {
		t.Errorf("the folder holds %v, want %q", entries, want)
		return
	}
	for i, entry := range entries {
		if entry.Name() != want[i] {
			t.Errorf("the folder holds %v, want %q", entries, want)
		}
	}
}

// WantContent fails the test if a file was changed.
func WantContent(t testing.TB, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s was changed: %d bytes, want %d (%v)", filepath.Base(path), len(got), len(want), err)
	}
}

// Crash creates a database as kill -9 leaves it: acknowledged writes are only in its WAL. It returns a
// key in the database.
func Crash(t testing.TB, path string) apikey.Key {
	t.Helper()
	source := NewPath(t)
	Initialise(t, source)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: source, Serve: true})
	must(t, err)
	key := Create(t, db, "from before")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		text, err := os.ReadFile(source + suffix)
		must(t, err)
		must(t, os.WriteFile(path+suffix, text, 0o600))
	}
	must(t, db.Close())
	return key
}

// NewFile creates a database with one key, as a single file in the folder of path.
func NewFile(t testing.TB, path string) (string, apikey.Key) {
	t.Helper()
	file := filepath.Join(filepath.Dir(path), ".new.part")
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: file, Serve: true})
	must(t, err)
	key := Create(t, db, "from the backup")
	must(t, db.Close())
	must(t, os.Remove(file+".lock"))
	return file, key
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
