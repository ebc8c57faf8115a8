package sqlstore_test

import (
	"os"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// attempts are one call of every kind that changes something, and Ping.
func attempts(t *testing.T, db *sqlstore.DB, existing apikey.Key) map[string]func() error {
	name := "renamed"
	return map[string]func() error{
		"CreateKey": func() error {
			key, _ := draft(t, "another")
			return db.CreateKey(t.Context(), operator, key)
		},
		"UpdateKey": func() error {
			_, err := db.UpdateKey(t.Context(), operator, store.ByID(existing.ID), apikey.Change{Name: &name})
			return err
		},
		"RevokeKey": func() error {
			_, err := db.RevokeKey(t.Context(), operator, store.ByID(existing.ID))
			return err
		},
		"RecordUses": func() error {
			return db.RecordUses(t.Context(), map[apikey.ID]time.Time{existing.ID: time.Now()})
		},
		"Ping": func() error { return db.Ping(t.Context()) },
	}
}

// SQLite would go on writing to a file that nobody will ever find again.
func TestLostFile(t *testing.T) {
	tests := map[string]func(path string) error{
		"removed": os.Remove,
		"renamed": func(path string) error { return os.Rename(path, path+".moved") },
		"replaced": func(path string) error {
			if err := os.Rename(path, path+".moved"); err != nil {
				return err
			}
			return os.WriteFile(path, nil, 0o600)
		},
	}
	for name, lose := range tests {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			db := open(t, path)
			key := create(t, db, "ci")
			must(t, lose(path))
			for name, attempt := range attempts(t, db, key) {
				if err := attempt(); err == nil {
					t.Errorf("%s succeeded", name)
				} else {
					wantErr(t, err, store.ErrUnavailable)
				}
			}
		})
	}
}

func TestRenamedBackIsFound(t *testing.T) {
	path := newPath(t)
	db := open(t, path)
	must(t, os.Rename(path, path+".moved"))
	wantErr(t, db.Ping(t.Context()), store.ErrUnavailable)
	must(t, os.Rename(path+".moved", path))
	must(t, db.Ping(t.Context()))
	create(t, db, "ci")
}

// A lock that another process holds delays a write; its end lets the write through.
func TestWaitsForLock(t *testing.T) {
	path := newPath(t)
	db, other := open(t, path), raw(t, path)
	key := create(t, db, "ci")
	execute(t, other, `BEGIN IMMEDIATE`)

	wrote := make(chan error, 1)
	go func() {
		_, err := db.RevokeKey(t.Context(), operator, store.ByID(key.ID))
		wrote <- err
	}()
	// Reading goes on meanwhile, and nothing was written: the lock is still held.
	got, err := db.Key(t.Context(), store.ByID(key.ID))
	must(t, err)
	if got.IsRevoked() {
		t.Error("a write went through a foreign lock")
	}
	select {
	case err := <-wrote:
		t.Fatalf("the write did not wait: %v", err)
	default:
	}
	execute(t, other, `COMMIT`)
	must(t, <-wrote)
}

// A lock that is never released is not waited for without end.
func TestGivesUpOnLock(t *testing.T) {
	t.Parallel() // it takes the five seconds that a writer waits
	path := newPath(t)
	db, other := open(t, path), raw(t, path)
	execute(t, other, `BEGIN IMMEDIATE`)
	wantErr(t, db.Ping(t.Context()), store.ErrUnavailable)
	execute(t, other, `ROLLBACK`)
	create(t, db, "ci")
}
