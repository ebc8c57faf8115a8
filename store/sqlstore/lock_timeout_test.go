//go:build full

package sqlstore_test

import (
	"testing"

	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// These tests take the five seconds for which SQLite waits for a lock.

// A lock that is never released is not waited for without end.
func TestGivesUpOnLock(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db, other := open(t, path), raw(t, path)
	execute(t, other, `BEGIN IMMEDIATE`)
	key, _ := draft(t, "ci")
	wantErr(t, db.CreateKey(t.Context(), operator, key), store.ErrUnavailable)
	must(t, db.Ping(t.Context())) // reading goes on
	execute(t, other, `ROLLBACK`)
	must(t, db.CreateKey(t.Context(), operator, key))
}

// Whoever has the old database open would go on writing its log beside the new one.
func TestPutRefusesWhatTheCommandLineHasOpen(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	key := crash(t, path)
	file, _ := newFile(t, path)
	beside, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
	must(t, err)
	wantErr(t, put(t, file, path, true), sqlstore.ErrOpen)
	must(t, beside.Close())
	wantOnly(t, path, key)
}
