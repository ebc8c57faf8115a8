package main

import (
	"errors"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s seed) list(t *testing.T, q store.Query) store.Page {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: s.database()})
	must(t, err)
	page, err := db.Keys(t.Context(), q)
	must(t, errors.Join(err, db.Close()))
	return page
}

// find returns the key of a secret.
func (s seed) find(t *testing.T, text string) apikey.Key {
	t.Helper()
	secret, err := apikey.ParseSecret(text)
	must(t, err)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: s.database()})
	must(t, err)
	key, err := db.Key(t.Context(), store.ByID(secret.ID()))
	must(t, errors.Join(err, db.Close()))
	if !key.Accepts(secret.Hash(), time.Now()) {
		t.Errorf("key %s does not accept its secret", key.Name)
	}
	return key
}

func (s seed) folderMode(t *testing.T) os.FileMode {
	t.Helper()
	info, err := os.Stat(s.folder)
	must(t, err)
	return info.Mode()
}

// fillServed creates a seed's keys in a store that is served.
func (s seed) fillServed(t *testing.T, db store.Store) {
	t.Helper()
	var secrets strings.Builder
	must(t, s.createFirst(t.Context(), db, &secrets))
	for i := 1; i < s.keys; i++ {
		secret, err := create(t.Context(), db, draftOf(i))
		must(t, err)
		secrets.WriteString(secret + "\n")
	}
	must(t, os.WriteFile(s.secrets(), []byte(secrets.String()), 0o600))
}

// servePlain serves the plain service on a seed's keys.
func (s seed) servePlain(t *testing.T, remembers bool) *httptest.Server {
	t.Helper()
	db, err := openRaw(s.plain())
	must(t, err)
	find, err := db.PrepareContext(t.Context(), plainQuery)
	must(t, err)
	server := httptest.NewServer(plainHandler(find, remembers))
	t.Cleanup(func() {
		server.Close()
		must(t, errors.Join(find.Close(), db.Close()))
	})
	return server
}

// lines returns a seed's secrets.
func (s seed) lines(t *testing.T) []string {
	t.Helper()
	secrets, err := os.ReadFile(s.secrets())
	must(t, err)
	return strings.Split(strings.TrimSuffix(string(secrets), "\n"), "\n")
}
