package sqlstore_test

import (
	"os"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// attempts are one call of every kind that changes something, and of Ping.
func attempts(t *testing.T, db *sqlstore.DB, existing apikey.Key) map[string]func() error {
	name := "renamed"
	return map[string]func() error{
		"CreateKey": func() error {
			key, _ := databasetest.Draft(t, "another")
			return db.CreateKey(t.Context(), databasetest.Operator, key)
		},
		"UpdateKey": func() error {
			_, err := db.UpdateKey(t.Context(), databasetest.Operator, store.ByID(existing.ID), apikey.Change{Name: &name})
			return err
		},
		"RevokeKey": func() error {
			_, err := db.RevokeKey(t.Context(), databasetest.Operator, store.ByID(existing.ID), apikey.ReasonUnspecified)
			return err
		},
		"RotateKey": func() error {
			rotation := apikey.Rotation{From: existing.SecretHash, To: existing.NewSecret().Hash()}
			_, err := db.RotateKey(t.Context(), databasetest.Operator, store.ByID(existing.ID), rotation)
			return err
		},
		"EndSecret": func() error {
			_, err := db.EndSecret(t.Context(), store.Actor{Key: existing.ID, Secret: existing.SecretHash})
			return err
		},
		"RecordUses": func() error {
			return db.RecordUses(t.Context(), []store.Use{{Key: existing.ID, LastUsedAt: time.Now()}})
		},
		"Ping": func() error { return db.Ping(t.Context()) },
	}
}

// reads returns the errors of one call of every kind that reads.
func reads(t *testing.T, db *sqlstore.DB, existing apikey.Key) map[string]error {
	_, key := db.Key(t.Context(), store.ByID(existing.ID))
	_, keys := db.Keys(t.Context(), store.Query{Limit: 1, Status: apikey.StatusActive, At: time.Now()})
	_, ids := db.KeyIDs(t.Context(), store.Query{Limit: 1})
	_, events := db.AuditEvents(t.Context(), store.EventQuery{Limit: 1})
	return map[string]error{"Key": key, "Keys": keys, "KeyIDs": ids, "AuditEvents": events}
}

// SQLite would keep writing to a file that is gone.
func TestLostFile(t *testing.T) {
	t.Parallel()
	tests := map[string]func(path string) error{
		"removed":      os.Remove,
		"WAL removed":  func(path string) error { return os.Remove(path + "-wal") },
		"lock removed": func(path string) error { return os.Remove(path + ".lock") },
		"renamed":      func(path string) error { return os.Rename(path, path+".moved") },
		"replaced": func(path string) error {
			if err := os.Rename(path, path+".moved"); err != nil {
				return err
			}
			return os.WriteFile(path, nil, 0o600)
		},
	}
	for name, lose := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := databasetest.NewPath(t)
			db := databasetest.Open(t, path)
			key := databasetest.Create(t, db, "ci")
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
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	must(t, os.Rename(path, path+".moved"))
	wantErr(t, db.Ping(t.Context()), store.ErrUnavailable)
	must(t, os.Rename(path+".moved", path))
	must(t, db.Ping(t.Context()))
	databasetest.Create(t, db, "ci")
}

// A lock that another process holds delays a write; its end lets the write through.
func TestWaitsForLock(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db, other := databasetest.Open(t, path), databasetest.Raw(t, path)
	key := databasetest.Create(t, db, "ci")
	databasetest.Execute(t, other, `BEGIN IMMEDIATE`)

	wrote := make(chan error, 1)
	go func() {
		_, err := db.RevokeKey(t.Context(), databasetest.Operator, store.ByID(key.ID), apikey.ReasonUnspecified)
		wrote <- err
	}()
	// Meanwhile reads work, and nothing was written: the lock is still held.
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
	databasetest.Execute(t, other, `COMMIT`)
	must(t, <-wrote)
}

// A crash while the empty file was set up leaves a journal that only a writable connection
// can roll back.
func TestHotJournal(t *testing.T) {
	t.Parallel()
	crashed, path := databasetest.NewPath(t), databasetest.NewPath(t)
	other := databasetest.Raw(t, crashed)
	databasetest.Execute(t, other, `PRAGMA cache_size = 1`) // pages reach the file before the commit
	databasetest.Execute(t, other, `BEGIN IMMEDIATE`)
	databasetest.Execute(t, other, `CREATE TABLE filler (content BLOB)`)
	for range 20 {
		databasetest.Execute(t, other, `INSERT INTO filler VALUES (randomblob(8192))`)
	}
	for _, suffix := range []string{"", "-journal"} {
		text, err := os.ReadFile(crashed + suffix)
		must(t, err)
		if len(text) == 0 {
			t.Fatalf("the file %q is empty: nothing is half done", suffix)
		}
		must(t, os.WriteFile(path+suffix, text, 0o600))
	}
	databasetest.Execute(t, other, `ROLLBACK`)
	databasetest.Create(t, databasetest.Open(t, path), "ci")
}

// The contents of a file that is gone may be out of date.
func TestLostFileIsNotRead(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	key := databasetest.Create(t, db, "ci")
	must(t, os.Rename(path, path+".moved"))
	other, _ := databasetest.Draft(t, "other")
	wantErr(t, db.CreateKey(t.Context(), databasetest.Operator, other), store.ErrUnavailable) // the writer looks for the file
	for name, err := range reads(t, db, key) {
		if err == nil {
			t.Errorf("%s succeeded", name)
		} else {
			wantErr(t, err, store.ErrUnavailable)
		}
	}
	must(t, os.Rename(path+".moved", path))
	databasetest.Create(t, db, "back")
	for _, err := range reads(t, db, key) {
		must(t, err)
	}
}
