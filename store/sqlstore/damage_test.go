package sqlstore_test

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// Once a read finds damage, every call fails until the database is opened again: nobody knows what else is
// wrong.
func TestDamage(t *testing.T) {
	t.Parallel()
	const pageSize = 4096
	tests := map[string]func(content []byte) []byte{
		"pages of noise": func(content []byte) []byte {
			for at := 2 * pageSize; at < len(content); at++ {
				content[at] = byte(at * 7)
			}
			return content
		},
		"pages of zeros": func(content []byte) []byte {
			clear(content[2*pageSize:])
			return content
		},
		"cut off": func(content []byte) []byte { return content[:len(content)/2/pageSize*pageSize] },
		"torn":    func(content []byte) []byte { return content[:len(content)/3] },
	}
	whole, keys := fullDatabase(t)
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := databasetest.NewPath(t)
			must(t, os.WriteFile(path, whole, 0o600))
			db := databasetest.Open(t, path)
			writeInto(t, path, damage(bytes.Clone(whole)))
			findDamage(t, db, keys)
			for name, attempt := range attempts(t, db, keys[0]) {
				if err := attempt(); !errors.Is(err, store.ErrDamaged) {
					t.Errorf("%s after damage was found: %v", name, err)
				}
			}
			for name, err := range reads(t, db, keys[0]) {
				if !errors.Is(err, store.ErrDamaged) {
					t.Errorf("%s after damage was found: %v", name, err)
				}
			}
			_ = db.Close()
			must(t, os.WriteFile(path, whole, 0o600))
			_ = os.Remove(path + "-wal")
			_ = os.Remove(path + "-shm")
			_, err := databasetest.Open(t, path).Key(t.Context(), store.ByID(keys[len(keys)-1].ID))
			must(t, err)
		})
	}
}

func TestDamagedSchemaIsRefused(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	content, _ := fullDatabase(t)
	clear(content[100:4096])
	must(t, os.WriteFile(path, content, 0o600))
	if _, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true}); err == nil {
		t.Error("it was opened")
	} else {
		t.Log(err)
	}
}

// fullDatabase returns the file of a database of many pages, and its keys.
func fullDatabase(t *testing.T) (content []byte, keys []apikey.Key) {
	t.Helper()
	path := databasetest.NewPath(t)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	keys = databasetest.CreateMany(t, db, "key", 300)
	must(t, db.Close())
	content, err = os.ReadFile(path)
	must(t, err)
	return content, keys
}

// writeInto changes a file in place, as a bad disk does.
func writeInto(t *testing.T, path string, content []byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = file.Write(content)
	must(t, errors.Join(err, file.Truncate(int64(len(content))), file.Close()))
}

// findDamage reads keys until one read finds damage.
func findDamage(t *testing.T, db *sqlstore.DB, keys []apikey.Key) {
	t.Helper()
	for _, key := range keys {
		got, err := db.Key(t.Context(), store.ByID(key.ID))
		switch {
		case errors.Is(err, store.ErrDamaged):
			t.Log(err)
			return
		case err != nil:
			t.Fatalf("damage is told as: %v", err)
		case got.SecretHash != key.SecretHash:
			t.Fatal("a damaged key was believed")
		}
	}
	t.Fatal("all keys were read: nothing was damaged")
}

// Retention reads too: a missing part is damage, and does not end the process.
func TestDamageFoundByRetention(t *testing.T) {
	t.Parallel()
	const pageSize = 4096
	whole, _ := fullDatabase(t)
	found := 0
	for pages := 2; pages < len(whole)/pageSize; pages += 5 {
		path := databasetest.NewPath(t)
		must(t, os.WriteFile(path, whole, 0o600))
		db := databasetest.Open(t, path)
		databasetest.Create(t, db, "another") // so that the log says how long the file is
		_, err := db.PruneEvents(t.Context(), time.Time{})
		must(t, err) // and all of it is mapped
		must(t, os.Truncate(path, int64(pages)*pageSize))
		if _, err := db.PruneEvents(t.Context(), time.Now()); errors.Is(err, store.ErrDamaged) {
			found++
		} else if err != nil {
			t.Errorf("with %d pages left: %v", pages, err)
		}
	}
	if found == 0 {
		t.Error("no damage was found")
	}
}
