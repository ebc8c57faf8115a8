package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
	"apikeyd/store/sqlstore"
)

type checkOf func(*sqlstore.Examination, context.Context) error

// Each check passes on a sound database, beside a server, and finds its own fault.
func TestExamination(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		faults []string
		check  checkOf
		want   error
	}{
		"a hash too short": {
			[]string{`PRAGMA ignore_check_constraints = 1`, `UPDATE api_keys SET secret_hash = x'00'`},
			(*sqlstore.Examination).Keys, store.ErrDamaged,
		},
		"an index that lacks rows": {
			[]string{
				`CREATE TABLE spare (owner, id)`, `CREATE INDEX spare_index ON spare (owner, id)`,
				`PRAGMA writable_schema = 1`,
				`UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'spare_index')
				WHERE name = 'api_keys_owner'`,
			},
			(*sqlstore.Examination).Integrity, store.ErrDamaged,
		},
		"metadata that is no JSON": {
			[]string{`UPDATE api_keys SET metadata = '{"plan":'`}, (*sqlstore.Examination).Keys, store.ErrDamaged,
		},
		"no owner": {[]string{`UPDATE api_keys SET owner = '' WHERE name = 'key 3'`},
			(*sqlstore.Examination).Keys, store.ErrDamaged},
		"no name":          {[]string{`UPDATE api_keys SET name = '' WHERE name = 'key 3'`}, (*sqlstore.Examination).Keys, store.ErrDamaged},
		"an empty hash":    {[]string{`UPDATE api_keys SET secret_hash = zeroblob(32)`}, (*sqlstore.Examination).Keys, store.ErrDamaged},
		"an endless grace": {[]string{`UPDATE api_keys SET old_secret_hash = secret_hash`}, (*sqlstore.Examination).Keys, store.ErrDamaged},
		"half a limit":     {[]string{`UPDATE api_keys SET rate_limit = 5`}, (*sqlstore.Examination).Keys, store.ErrDamaged},
		"a foreign secret of no key": {[]string{`INSERT INTO foreign_secrets VALUES (zeroblob(33), zeroblob(16))`},
			(*sqlstore.Examination).Foreign, store.ErrDamaged},
		"no foreign secret": {[]string{`UPDATE api_keys SET foreign_secret = 1 WHERE name = 'key 3'`},
			(*sqlstore.Examination).Foreign, store.ErrDamaged},
		"another foreign secret": {
			[]string{
				`UPDATE api_keys SET foreign_secret = 1 WHERE name = 'key 3'`,
				`INSERT INTO foreign_secrets SELECT zeroblob(33), id FROM api_keys WHERE name = 'key 3'`,
			},
			(*sqlstore.Examination).Foreign, store.ErrDamaged,
		},
		"a name held twice": {
			[]string{`DROP INDEX api_keys_name`, `UPDATE api_keys SET name = 'key 1' WHERE name = 'key 2'`},
			(*sqlstore.Examination).Names, store.ErrDamaged,
		},
		"a wrong count": {[]string{`UPDATE key_counts SET keys = 7 WHERE owner = 'acme'`},
			(*sqlstore.Examination).Counts, sqlstore.ErrMiscounts},
		"a wrong total": {[]string{`UPDATE key_counts SET keys = 7 WHERE owner = ''`},
			(*sqlstore.Examination).Counts, sqlstore.ErrMiscounts},
		"no count":     {[]string{`DELETE FROM key_counts`}, (*sqlstore.Examination).Counts, sqlstore.ErrMiscounts},
		"a count more": {[]string{`INSERT INTO key_counts VALUES ('nobody', 'main', 1)`}, (*sqlstore.Examination).Counts, sqlstore.ErrMiscounts},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := databasetest.NewPath(t)
			db := databasetest.Open(t, path)
			for i := range 5 {
				databasetest.Create(t, db, fmt.Sprint("key ", i))
			}
			must(t, look(t, path, tt.check))
			other := databasetest.Raw(t, path)
			for _, fault := range tt.faults {
				databasetest.Execute(t, other, fault)
			}
			wantErr(t, look(t, path, tt.check), tt.want)
		})
	}
}

func look(t *testing.T, path string, check checkOf) error {
	t.Helper()
	e, err := sqlstore.Examine(t.Context(), path)
	must(t, err)
	defer func() { must(t, e.Close()) }()
	return check(e, t.Context())
}

// The audit log is checked as it is at one moment, whatever is written meanwhile.
func TestExaminationOfAuditWhileWriting(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	databasetest.Create(t, db, "first")
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range 200 {
			key, _ := databasetest.Draft(t, fmt.Sprint("key ", i))
			if err := db.CreateKey(t.Context(), databasetest.Operator, key); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	err := look(t, path, func(e *sqlstore.Examination, ctx context.Context) error {
		for {
			if err := e.Audit(ctx); err != nil {
				return err
			}
			select {
			case <-written:
				return nil
			default:
			}
		}
	})
	<-written
	must(t, err)
}

// Keys are checked beyond the first batch that is read.
func TestExaminationReadsAllKeys(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	databasetest.Initialise(t, path)
	other := databasetest.Raw(t, path)
	databasetest.Execute(t, other, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
		INSERT INTO api_keys (id, owner, name, prefix, scopes, secret_hash, created_at, expires_at)
		SELECT unhex(printf('%032x', i)), 'acme', i, 'ak_', '', randomblob(32), 1, 2 FROM n`)
	must(t, look(t, path, (*sqlstore.Examination).Keys))
	databasetest.Execute(t, other, `UPDATE api_keys SET metadata = '' WHERE name = '24999'`)
	wantErr(t, look(t, path, (*sqlstore.Examination).Keys), store.ErrDamaged)
}

func TestContents(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	began := time.Now().Truncate(time.Millisecond)
	databasetest.Create(t, db, "one")
	key := databasetest.Create(t, db, "two")
	_, err := db.RevokeKey(t.Context(), databasetest.Operator, store.ByID(key.ID), apikey.ReasonUnspecified)
	must(t, err)
	var got sqlstore.Contents
	must(t, look(t, path, func(e *sqlstore.Examination, ctx context.Context) (err error) {
		got, err = e.Contents(ctx)
		return err
	}))
	if got.Keys != 2 || got.Revoked != 1 || got.Events != 3 || got.Schema == 0 || got.Last.Before(began) {
		t.Errorf("the contents are %+v", got)
	}
}

// Recounting is a change like any other, and the server continues from it.
func TestRecount(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db := databasetest.Open(t, path)
	databasetest.Create(t, db, "one")
	databasetest.Execute(t, databasetest.Raw(t, path), `UPDATE key_counts SET keys = 70`)
	must(t, databasetest.OpenBeside(t, path).Recount(t.Context()))
	databasetest.Create(t, db, "two")
	must(t, look(t, path, (*sqlstore.Examination).Counts))
	page, err := db.Keys(t.Context(), store.Query{Owner: "acme", Limit: 1})
	if err != nil || page.Total != 2 {
		t.Errorf("the list counts %d keys, want 2 (%v)", page.Total, err)
	}
}

// An older schema is examined as far as possible: backups are made before an upgrade.
func TestExaminationOfAnOlderSchema(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	text, err := os.ReadFile(filepath.Join("migrations", "sqlite", "00001_keys.sql"))
	must(t, err)
	old := databasetest.Raw(t, path)
	databasetest.Execute(t, old, `CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))`)
	databasetest.Execute(t, old, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (1, 1)`)
	databasetest.Execute(t, old, string(text))
	databasetest.Execute(t, old, `INSERT INTO api_keys (id, owner, name, prefix, scopes, secret_hash, created_at, expires_at)
		VALUES (randomblob(16), 'acme', 'ci', 'ak_', '', randomblob(32), 1, 2)`)
	copied, sealed, err := unseal(t, backup(t, path))
	if !sealed || err != nil {
		t.Fatal(sealed, err)
	}
	contents, err := examineAll(t, copied)
	if err != nil || contents.Schema != 1 || contents.Keys != 1 {
		t.Errorf("the contents are %+v (%v)", contents, err)
	}
	databasetest.WantKey(t, databasetest.Open(t, copied), "ci") // migrated
}

func TestIsServed(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	wantServed := func(want bool) {
		t.Helper()
		if got, err := sqlitefile.IsServed(path); err != nil || got != want {
			t.Errorf("served is %t, want %t (%v)", got, want, err)
		}
	}
	wantServed(false)
	databasetest.WantFiles(t, filepath.Dir(path)) // asking creates no file
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	wantServed(true)
	must(t, db.Close())
	wantServed(false)
}
