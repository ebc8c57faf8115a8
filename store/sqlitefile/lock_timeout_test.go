//go:build full

package sqlitefile_test

import (
	"testing"

	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
	"apikeyd/store/sqlstore"
)

// These tests take the five seconds for which SQLite waits for a lock.

// Nobody waits forever for a lock that is never released.
func TestGivesUpOnLock(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db, other := databasetest.Open(t, path), databasetest.Raw(t, path)
	databasetest.Execute(t, other, `BEGIN IMMEDIATE`)
	key, _ := databasetest.Draft(t, "ci")
	wantErr(t, db.CreateKey(t.Context(), databasetest.Operator, key), store.ErrUnavailable)
	must(t, db.Ping(t.Context())) // reads still work
	databasetest.Execute(t, other, `ROLLBACK`)
	must(t, db.CreateKey(t.Context(), databasetest.Operator, key))
}

// A process that has the old database open would keep writing its log beside the new one.
func TestPutRefusesWhatTheCommandLineHasOpen(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	key := databasetest.Crash(t, path)
	file, _ := databasetest.NewFile(t, path)
	beside, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
	must(t, err)
	wantErr(t, put(t, file, path, true), sqlitefile.ErrOpen)
	must(t, beside.Close())
	wantOnly(t, path, key)
}
