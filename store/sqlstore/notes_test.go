package sqlstore_test

import (
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// emptied counts how often everything is dropped from a cache.
type emptied struct{ times, looks atomic.Int32 }

func (e *emptied) Changed(apikey.ID) {}
func (e *emptied) ChangedAll()       { e.times.Add(1) }
func (e *emptied) Trust(time.Time)   { e.looks.Add(1) }

// A server sees the note about a backup, for which it empties its cache once and keeps writing.
func TestNoteBackup(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	var cache emptied
	db.Watch(&cache)
	wantLast := func(want time.Time) {
		t.Helper()
		if got, err := db.LastBackup(t.Context()); err != nil || !got.Equal(want) {
			t.Errorf("the last backup was made at %s, want %s (%v)", got, want, err)
		}
	}
	wantLast(time.Time{})
	first := time.Date(2030, 1, 31, 12, 0, 0, 250e6, time.UTC)
	for i, at := range []time.Time{first, first.Add(time.Hour), first.Add(-time.Hour)} { // the clock was wrong
		must(t, sqlstore.NoteBackup(t.Context(), path, at))
		wantLast(at)
		for seen := cache.looks.Load(); cache.looks.Load() < seen+3; time.Sleep(time.Millisecond) {
		}
		if got := cache.times.Load(); got != int32(i)+1 {
			t.Errorf("after %d notes the cache was emptied %d times", i+1, got)
		}
	}
	databasetest.Create(t, db, "ci")

	raw := databasetest.Raw(t, path)
	databasetest.Execute(t, raw, `UPDATE notes SET value = 'yesterday' WHERE name = 'last backup'`)
	_, err := db.LastBackup(t.Context())
	wantErr(t, err, store.ErrDamaged)
	databasetest.Execute(t, raw, `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	wantErr(t, sqlstore.NoteBackup(t.Context(), path, first), store.ErrNotMigrated)
}

// A restored database knows the backup that it comes from, by the backup's last event or by the backup before it,
// whichever is later.
func TestRestoredKnowsItsBackup(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	databasetest.Initialise(t, path)
	noted := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	must(t, sqlstore.NoteBackup(t.Context(), path, noted))
	for _, knows := range []time.Time{noted.Add(-time.Hour), noted.Add(time.Hour)} {
		copied, _, err := unseal(t, backup(t, path))
		must(t, err)
		db, err := sqlstore.OpenRestored(t.Context(), copied, knows)
		must(t, err)
		want := noted
		if knows.After(noted) {
			want = knows
		}
		if got, err := db.LastBackup(t.Context()); err != nil || !got.Equal(want) {
			t.Errorf("with an event at %s, the last backup was made at %s, want %s (%v)", knows, got, want, err)
		}
		must(t, db.Close())
	}
}
