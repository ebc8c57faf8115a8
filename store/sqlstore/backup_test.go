package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
	"apikeyd/store/sqlstore"
)

// backup makes a sealed backup of a database in a new folder.
func backup(t *testing.T, from string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.db")
	must(t, tryBackup(t.Context(), from, path))
	return path
}

func tryBackup(ctx context.Context, from, path string) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	err = sqlstore.Backup(ctx, from, file, func(int, int) {})
	if err != nil {
		return err
	}
	return sqlitefile.Seal(file)
}

// examineAll runs every check on a file that nobody uses.
func examineAll(t *testing.T, path string) (sqlstore.Contents, error) {
	t.Helper()
	e, err := sqlstore.ExamineFile(t.Context(), path)
	if err != nil {
		return sqlstore.Contents{}, err
	}
	defer func() { must(t, e.Close()) }()
	return e.All(t.Context())
}

// unseal checks and removes the seal of a copy of a backup, which it returns.
func unseal(t *testing.T, path string) (copied string, sealed bool, err error) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	copied = filepath.Join(t.TempDir(), "restored.db")
	must(t, os.WriteFile(copied, text, 0o600))
	file, err := os.OpenFile(copied, os.O_RDWR, 0)
	must(t, err)
	defer func() { must(t, file.Close()) }()
	sealed, err = sqlitefile.Unseal(file)
	return copied, sealed, err
}

// Each backup under load is of one moment and has everything that was acknowledged before it began, and writers do
// not wait for it.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	var (
		mu           sync.Mutex
		acknowledged []apikey.Key
		writers      sync.WaitGroup
		pause        sync.RWMutex // locked while a backup is checked, which needs no load
		stop         = make(chan struct{})
	)
	defer func() { close(stop); writers.Wait() }()
	for range 16 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key, _ := databasetest.Draft(t, "k "+apikey.NewID().String())
				pause.RLock()
				err := db.CreateKey(context.Background(), databasetest.Operator, key)
				if err == nil && i%3 == 0 {
					key, err = db.RevokeKey(context.Background(), databasetest.Operator, store.ByID(key.ID), apikey.ReasonUnspecified)
				}
				pause.RUnlock()
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, key)
				mu.Unlock()
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged)
	}
	for round := range 5 {
		for count() < 500*(round+1) { // each round has more to copy
			time.Sleep(time.Millisecond)
		}
		mu.Lock()
		before := acknowledged[:len(acknowledged):len(acknowledged)]
		mu.Unlock()
		made := backup(t, path)
		func() {
			pause.Lock()
			defer pause.Unlock()
			wantOneMoment(t, made, before)
		}()
	}
}

// wantOneMoment fails the test unless a backup is of one moment after these keys were acknowledged.
func wantOneMoment(t *testing.T, backup string, before []apikey.Key) {
	t.Helper()
	copied, sealed, err := unseal(t, backup)
	if !sealed || err != nil {
		t.Fatalf("sealed %t, %v", sealed, err)
	}
	contents, err := examineAll(t, copied)
	must(t, err)
	restored := databasetest.Open(t, copied)
	for _, want := range before {
		got, err := restored.Key(t.Context(), store.ByID(want.ID))
		if err != nil || got.SecretHash != want.SecretHash || !got.RevokedAt.Equal(want.RevokedAt) {
			t.Fatalf("key %s was acknowledged before; the backup has %+v (%v)", want.ID, got, err)
		}
	}
	if contents.Keys < len(before) || contents.Events != contents.Keys+contents.Revoked {
		t.Errorf("%+v is not one moment after %d keys", contents, len(before))
	}
}

// A backup leaves no other files, and does not touch those of the database.
func TestBackupLeavesNothingElse(t *testing.T) {
	t.Parallel()
	for name, served := range map[string]bool{"served": true, "closed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := databasetest.NewPath(t)
			databasetest.Initialise(t, path)
			want := []string{"keys.db", "keys.db.lock"}
			if served {
				databasetest.Create(t, databasetest.Open(t, path), "ci")
				want = []string{"keys.db", "keys.db-shm", "keys.db-wal", "keys.db.lock"}
			}
			to := backup(t, path)
			databasetest.WantFiles(t, filepath.Dir(path), want...)
			// Reading the backup with any SQLite leaves none either.
			reader, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: to, RawQuery: "mode=ro"}).String())
			must(t, err)
			var keys int
			must(t, reader.QueryRowContext(t.Context(), `SELECT count(*) FROM api_keys`).Scan(&keys))
			must(t, reader.Close())
			databasetest.WantFiles(t, filepath.Dir(to), "backup.db")
		})
	}
}

// A backup includes what a crash left in the log.
func TestBackupOfACrashedDatabase(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	key := databasetest.Create(t, db, "ci")
	crashed := filepath.Join(t.TempDir(), "crashed.db")
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(path + suffix)
		must(t, err)
		must(t, os.WriteFile(crashed+suffix, text, 0o600))
	}
	copied, _, err := unseal(t, backup(t, crashed))
	must(t, err)
	_, err = databasetest.Open(t, copied).Key(t.Context(), store.ByID(key.ID))
	must(t, err)
}

func TestBackupStops(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	databasetest.Create(t, databasetest.Open(t, path), "ci")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, tryBackup(ctx, path, databasetest.NewPath(t)), context.Canceled)
}

func TestBackupRefusesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	text, empty, newer := databasetest.NewPath(t), databasetest.NewPath(t), databasetest.NewPath(t)
	must(t, os.WriteFile(text, []byte("Dear diary,\n"), 0o600))
	must(t, os.WriteFile(empty, nil, 0o600))
	databasetest.Initialise(t, newer)
	databasetest.Execute(t, databasetest.Raw(t, newer), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`)
	for path, want := range map[string]error{
		databasetest.NewPath(t): store.ErrMissing, text: store.ErrForeign, empty: sqlstore.ErrEmpty, newer: store.ErrTooNew,
	} {
		wantErr(t, tryBackup(t.Context(), path, databasetest.NewPath(t)), want)
	}
}

// Every flipped byte of a backup is noticed, and every truncation.
func TestDamagedBackups(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	for i := range 20 {
		databasetest.Create(t, db, fmt.Sprint("key ", i))
	}
	whole, err := os.ReadFile(backup(t, path))
	must(t, err)
	sound := func(text []byte) bool {
		file := databasetest.NewPath(t)
		must(t, os.WriteFile(file, text, 0o600))
		copied, _, err := unseal(t, file)
		if err == nil {
			_, err = examineAll(t, copied)
		}
		return err == nil
	}
	if !sound(whole) {
		t.Fatal("the whole backup is refused")
	}
	for at := 0; at < len(whole); at += 1 + len(whole)/100 {
		damaged := []byte(string(whole))
		damaged[at] ^= 0x10
		if sound(damaged) {
			t.Errorf("nobody sees that byte %d of %d flipped", at, len(whole))
		}
		// Truncated right after its last page, it lacks only its seal.
		if at > 0 && sound(whole[:at]) {
			t.Errorf("nobody sees that it ends after %d of %d bytes", at, len(whole))
		}
	}
	for i := range len("\napikeyd backup, SHA-256") {
		damaged := []byte(string(whole))
		damaged[strings.LastIndex(string(whole), "\napikeyd backup")+i] ^= 0x01
		if sound(damaged) {
			t.Errorf("nobody sees that byte %d of the seal flipped", i)
		}
	}
	if sound(append(whole[:len(whole):len(whole)], 0)) {
		t.Error("nobody sees that a byte was added")
	}
}
