package main

import (
	"errors"
	"os"
	"testing"

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

func (s seed) folderMode(t *testing.T) os.FileMode {
	t.Helper()
	info, err := os.Stat(s.folder)
	must(t, err)
	return info.Mode()
}
