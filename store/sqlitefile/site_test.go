package sqlitefile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
	"apikeyd/store/sqlstore"
)

// put puts a file in the place of a database.
func put(t *testing.T, file, path string, replace bool) (err error) {
	t.Helper()
	site, err := sqlitefile.OpenSite(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	if replace {
		if _, err := sqlstore.ExamineReplaced(t.Context(), site); err != nil {
			return err
		}
	}
	_, err = site.Put(file)
	return err
}

func wantOnly(t *testing.T, path string, key apikey.Key) {
	t.Helper()
	page, err := databasetest.Open(t, path).Keys(t.Context(), store.Query{Limit: 10})
	must(t, err)
	if len(page.Keys) != 1 || page.Keys[0].ID != key.ID {
		t.Errorf("the database holds %+v, want only %q", page.Keys, key.Name)
	}
}

func TestPutWhereNothingIs(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	file, key := databasetest.NewFile(t, path)
	must(t, put(t, file, path, false))
	databasetest.WantFiles(t, filepath.Dir(path), "keys.db", "keys.db.lock")
	wantOnly(t, path, key)
}

// The log that a killed server left must not be applied to the new file.
func TestPutReplacesACrashedDatabase(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	databasetest.Crash(t, path)
	file, key := databasetest.NewFile(t, path)
	wantErr(t, put(t, file, path, false), sqlitefile.ErrOccupied)
	must(t, put(t, file, path, true))
	databasetest.WantFiles(t, filepath.Dir(path), "keys.db", "keys.db.lock", "keys.db.replaced")
	wantOnly(t, path, key)
}

// A process that has the old database open would keep writing its log beside the new one.
func TestPutRefusesWhatIsServed(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	key := databasetest.Create(t, databasetest.Open(t, path), "from before")
	file, _ := databasetest.NewFile(t, path)
	wantErr(t, put(t, file, path, true), store.ErrInUse)
	_, err := databasetest.OpenBeside(t, path).Key(t.Context(), store.ByID(key.ID))
	must(t, err)
}

// A log without its database, or of one that cannot be read, would be applied to the new file.
// Nothing that may be useful to somebody is removed.
func TestPutRefusesLeftovers(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{"-wal", "-journal"} {
		path := databasetest.NewPath(t)
		file, _ := databasetest.NewFile(t, path)
		must(t, os.WriteFile(path+suffix, []byte("precious"), 0o600))
		wantErr(t, put(t, file, path, false), sqlitefile.ErrLeftover)
		databasetest.WantContent(t, path+suffix, []byte("precious"))

		must(t, os.WriteFile(path, []byte("Dear diary,\n"), 0o600))
		if err := put(t, file, path, true); err == nil {
			t.Errorf("a file took the place of what cannot be read, beside its %s", suffix)
		}
		databasetest.WantContent(t, path, []byte("Dear diary,\n"))
		databasetest.WantContent(t, path+suffix, []byte("precious"))
	}
}

// From the moment it leaves WAL mode, the old database stays locked: nobody can write to the file that is being
// replaced, or write its log beside the new one.
func TestPutLocksOutWriters(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	databasetest.Crash(t, path)
	file, key := databasetest.NewFile(t, path)
	old := databasetest.Raw(t, path)
	databasetest.Execute(t, old, `PRAGMA journal_mode = DELETE`) // so that it keeps the file open without a lock
	site, err := sqlitefile.OpenSite(path)
	must(t, err)
	_, err = sqlstore.ExamineReplaced(t.Context(), site)
	must(t, err)
	kept, err := site.Put(file)
	must(t, err)
	if filepath.Base(kept) != "keys.db.replaced" {
		t.Errorf("the old database is %q", kept)
	}
	late := func() {
		for _, statement := range []string{`PRAGMA journal_mode = WAL`, `CREATE TABLE late (a TEXT)`} {
			if _, err := old.ExecContext(t.Context(), statement); err == nil {
				t.Errorf("%s succeeded on the file that went", statement)
			}
		}
	}
	late()
	must(t, site.Close())
	late()
	databasetest.WantFiles(t, filepath.Dir(path), "keys.db", "keys.db.lock", "keys.db.replaced")
	wantOnly(t, path, key)
}
