package sqlstore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store/migratestore"
	"apikeyd/store/sqlitefile"
	"apikeyd/store/sqlstore"
)

// Everything that opens a database refuses mistyped names, and creates nothing.
func TestOpenersRefuseSlips(t *testing.T) {
	dir := t.TempDir()
	elsewhere := databasetest.NewPath(t)
	databasetest.Initialise(t, elsewhere)
	t.Chdir(dir)
	for _, name := range []string{"password=hush", "sqlite:hush.db", "u:hush@host/db", "hush.db ", "postgres://u:h@hush@host/db"} {
		failures := map[string]error{}
		_, failures["serve"] = sqlstore.Open(t.Context(), sqlstore.Options{Path: name, Serve: true})
		_, failures["open"] = sqlstore.Open(t.Context(), sqlstore.Options{Path: name})
		_, failures["examine"] = sqlstore.Examine(t.Context(), name)
		_, failures["site"] = sqlitefile.OpenSite(name)
		_, failures["from"] = migratestore.Move(t.Context(), migratestore.Options{From: name, To: "other.db"})
		_, failures["to"] = migratestore.Move(t.Context(), migratestore.Options{From: elsewhere, To: name})
		for opener, err := range failures {
			if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "must ") {
				t.Errorf("%s of %q: %v", opener, name, err)
			}
		}
	}
	databasetest.WantFiles(t, dir)
}

// A path is taken literally, so a file may have a name that looks mistyped.
func TestFilesCalledLikeSlips(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"./sqlite:keys.db", "./a=b.db"} {
		databasetest.Create(t, databasetest.Open(t, name), "ci")
		if _, err := os.Stat(filepath.Base(name)); err != nil {
			t.Error(err)
		}
	}
}
