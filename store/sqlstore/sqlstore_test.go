package sqlstore_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		return openWith(t, sqlstore.Options{Path: newPath(t), Serve: true, Now: now})
	})
}

var operator = store.Operator("test")

func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "keys.db") }

// open opens a database as a server does, until the test ends.
func open(t *testing.T, path string) *sqlstore.DB {
	t.Helper()
	return openWith(t, sqlstore.Options{Path: path, Serve: true})
}

// openBeside opens a database as the command line does.
func openBeside(t *testing.T, path string) *sqlstore.DB {
	t.Helper()
	return openWith(t, sqlstore.Options{Path: path})
}

func openWith(t *testing.T, o sqlstore.Options) *sqlstore.DB {
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

// initialise leaves an empty database at path, served by nobody.
func initialise(t *testing.T, path string) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	must(t, db.Close())
}

// raw opens a connection of our own, past the store. It creates the file.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	dsn := url.URL{Scheme: "file", Path: path}
	db, err := sql.Open("sqlite", dsn.String())
	must(t, err)
	db.SetMaxOpenConns(1) // BEGIN and COMMIT must meet
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func execute(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), statement)
	must(t, err)
}

// draft makes a key that no store has yet, and its secret.
func draft(t *testing.T, name string) (apikey.Key, apikey.Secret) {
	t.Helper()
	now := time.Now()
	key, secret, err := apikey.Policy{}.NewKey(now, apikey.Settings{
		Owner: "acme", Name: name, Scopes: apikey.Scopes{apikey.ScopeRead}, ExpiresAt: now.Add(time.Hour),
	})
	must(t, err)
	return key, secret
}

func create(t *testing.T, db *sqlstore.DB, name string) apikey.Key {
	t.Helper()
	key, _ := draft(t, name)
	must(t, db.CreateKey(t.Context(), operator, key))
	return key
}

// createMany creates keys at once, so that the disk is waited for once for many of them.
func createMany(t *testing.T, db *sqlstore.DB, name string, n int) []apikey.Key {
	t.Helper()
	keys, errs := make([]apikey.Key, n), make([]error, n)
	var all sync.WaitGroup
	for i := range keys {
		keys[i], _ = draft(t, fmt.Sprint(name, " ", i))
		all.Go(func() { errs[i] = db.CreateKey(t.Context(), operator, keys[i]) })
	}
	all.Wait()
	must(t, errors.Join(errs...))
	return keys
}

func wantKey(t *testing.T, db *sqlstore.DB, name string) {
	t.Helper()
	if _, err := db.Key(t.Context(), store.ByName("acme", name)); err != nil {
		t.Errorf("key %q: %v", name, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error is %v, want %v", got, want)
	}
}

// Another process takes away what an acting key may do: the next change sees that.
func TestActorChangedByAnotherProcess(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db, beside := open(t, path), openBeside(t, path)
	for name, tt := range map[string]struct {
		change func(apikey.Key) error
		want   func(error) bool
	}{
		"revoked": {
			func(k apikey.Key) error { return second(beside.RevokeKey(t.Context(), operator, store.ByID(k.ID))) },
			func(err error) bool { return errors.Is(err, store.ErrActorGone) },
		},
		"without its scope": {
			func(k apikey.Key) error {
				change := apikey.Change{Scopes: &apikey.Scopes{apikey.ScopeRead}}
				return second(beside.UpdateKey(t.Context(), operator, store.ByID(k.ID), change))
			},
			func(err error) bool { _, denied := errors.AsType[*apikey.DeniedError](err); return denied },
		},
	} {
		t.Run(name, func(t *testing.T) {
			acting, _ := draft(t, name)
			acting.Scopes = apikey.Scopes{apikey.ScopeWrite}
			must(t, db.CreateKey(t.Context(), operator, acting))
			actor := store.Actor{Key: acting.ID, Secret: acting.SecretHash, Via: "test"}
			create := func(n string) error {
				key, _ := draft(t, name+n)
				key.Owner, key.Scopes = acting.Owner, apikey.Scopes{}
				return db.CreateKey(t.Context(), actor, key)
			}
			must(t, create(" 1"))
			must(t, create(" 2")) // by what is remembered
			must(t, tt.change(acting))
			if err := create(" 3"); !tt.want(err) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }
