package sqlstore_test

import (
	"path/filepath"
	"testing"
	"time"

	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		return open(t, filepath.Join(t.TempDir(), "keys.db"), now)
	})
}

func open(t *testing.T, path string, now func() time.Time) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
