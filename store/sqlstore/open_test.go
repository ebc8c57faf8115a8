package sqlstore_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// A closed database is one file: a copy of it is complete.
func TestClosedDatabaseIsOneFile(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	key := databasetest.Create(t, db, "ci")
	must(t, db.Ping(t.Context()))
	_, err = db.Key(t.Context(), store.ByID(key.ID))
	must(t, err)
	must(t, db.Close())
	for _, left := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(path + left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", left, err)
		}
	}
	data, err := os.ReadFile(path)
	must(t, err)
	copied := databasetest.NewPath(t)
	must(t, os.WriteFile(copied, data, 0o600))
	_, err = databasetest.Open(t, copied).Key(t.Context(), store.ByID(key.ID))
	must(t, err)
}

func TestPathsAreTakenLiterally(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b.db", "100%.db", "%41.db", "what?now.db", "a#b.db", "ключ&=+.db"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			databasetest.Create(t, databasetest.Open(t, path), "ci")
			if info, err := os.Stat(path); err != nil || info.Size() == 0 {
				t.Errorf("the database is not in its file: %v, %v", info, err)
			}
			databasetest.WantKey(t, databasetest.OpenBeside(t, path), "ci")
		})
	}
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	databasetest.Create(t, databasetest.Open(t, "keys.db"), "ci")
	if _, err := os.Stat("keys.db"); err != nil {
		t.Error(err)
	}
}

func TestOneServerPerFile(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	first, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	_, err = sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	wantErr(t, err, store.ErrInUse)
	databasetest.Create(t, first, "ci") // the refused server did no harm
	must(t, first.Close())
	databasetest.WantKey(t, databasetest.Open(t, path), "ci")
}

func TestBesideAServer(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	server, beside := databasetest.Open(t, path), databasetest.OpenBeside(t, path)
	databasetest.Create(t, server, "from the server")
	databasetest.WantKey(t, beside, "from the server")
	databasetest.Create(t, beside, "from beside")
	databasetest.WantKey(t, server, "from beside")

	_, err := beside.RevokeKey(t.Context(), databasetest.Operator, store.ByName("acme", "from the server"), apikey.ReasonUnspecified)
	must(t, err)
	key, err := server.Key(t.Context(), store.ByName("acme", "from the server"))
	must(t, err)
	if !key.IsRevoked() {
		t.Error("the server does not see the revocation made beside it")
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
	wantErr(t, err, store.ErrMissing)
	databasetest.WantFiles(t, filepath.Dir(path))
}

func TestEmptyFile(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	must(t, os.WriteFile(path, nil, 0o600))
	_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
	wantErr(t, err, store.ErrNotMigrated)
	databasetest.WantFiles(t, filepath.Dir(path), "keys.db")
	databasetest.WantContent(t, path, nil)

	databasetest.Create(t, databasetest.Open(t, path), "ci") // a server may open it
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, path string){
		"text": func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte("Dear diary,\n"), 0o600))
		},
		"long text": func(t *testing.T, path string) {
			must(t, os.WriteFile(path, bytes.Repeat([]byte("Dear diary,\n"), 10_000), 0o600))
		},
		"another program's database": func(t *testing.T, path string) {
			databasetest.Execute(t, databasetest.Raw(t, path), `CREATE TABLE diary (day TEXT)`)
		},
		"another program's WAL database": func(t *testing.T, path string) {
			db := databasetest.Raw(t, path)
			databasetest.Execute(t, db, `PRAGMA journal_mode = WAL`)
			databasetest.Execute(t, db, `CREATE TABLE diary (day TEXT)`)
			must(t, db.Close())
		},
	}
	for name, write := range tests {
		for _, serve := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				path := databasetest.NewPath(t)
				write(t, path)
				before, err := os.ReadFile(path)
				must(t, err)
				_, err = sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: serve})
				wantErr(t, err, store.ErrForeign)
				databasetest.WantContent(t, path, before)
			})
		}
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	for _, serve := range []bool{false, true} {
		dir := t.TempDir()
		if db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: dir, Serve: serve}); err == nil {
			t.Errorf("a folder was opened as a database, serve %t", serve)
			must(t, db.Close())
		}
		databasetest.WantFiles(t, dir)
	}
}

// All links to a database lead to the same one.
func TestLinksLeadToOneDatabase(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	key := databasetest.Create(t, databasetest.Open(t, path), "ci")
	link := filepath.Join(t.TempDir(), "link.db")
	must(t, os.Symlink(path, link))
	_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: link, Serve: true})
	wantErr(t, err, store.ErrInUse)
	got, err := databasetest.OpenBeside(t, link).Key(t.Context(), store.ByID(key.ID))
	if err != nil || got.Name != "ci" {
		t.Errorf("through the link is %q (%v)", got.Name, err)
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere.db")
	must(t, os.Symlink(filepath.Join(t.TempDir(), "no", "such.db"), nowhere))
	if _, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: nowhere, Serve: true}); err == nil {
		t.Error("a link to nowhere was served")
	}
}
