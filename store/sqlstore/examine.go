package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"apikeyd/store"
	"apikeyd/store/dbname"
	"apikeyd/store/sqlitefile"
)

// The reasons why an examination rejects a database, in addition to those of Open.
var (
	ErrEmpty     = errors.New("the database is empty: apikeyd never wrote to it")
	ErrMiscounts = errors.New("the numbers of keys in key_counts are not those of the keys")
	ErrAltered   = errors.New("the audit log is not what was written")
)

// Examination inspects a database, beside a server or not, and leaves its files as they are.
type Examination struct {
	file            *sqlitefile.File
	pool            *sql.DB
	path            string
	version, target int64 // the version of its schema, and the one that this program needs
}

// Contents is what a database holds.
type Contents struct {
	Schema  int64     // version
	Keys    int       // of any status
	Revoked int       // of them
	Events  int       // in the audit log
	Last    time.Time // when the last key or event was written; zero if there is none

	Altered error // an ErrAltered, if All found one
}

// String says how much a database holds.
func (c Contents) String() string {
	count := func(n int, noun string) string {
		if n == 1 {
			return "1 " + noun
		}
		return strconv.Itoa(n) + " " + noun + "s"
	}
	return fmt.Sprintf("%s (%d revoked) and %s", count(c.Keys, "key"), c.Revoked, count(c.Events, "audit event"))
}

// Examine opens a database to inspect it. The caller must Close it. Like Open it refuses
// a database that is not ours or too new.
func Examine(ctx context.Context, path string) (*Examination, error) {
	file, err := sqlitefile.Open(path, sqlitefile.ToRead)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", dbname.Show(path), err)
	}
	return examine(ctx, file, file.Path(), sqlitefile.ModeInspect)
}

// ExamineFile is Examine for a file that nobody writes to, such as a backup: it leaves no
// files beside it. It refuses a database that is in use under another name.
func ExamineFile(ctx context.Context, path string) (*Examination, error) {
	file, err := sqlitefile.Open(path, sqlitefile.ToExamine)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	return examine(ctx, file, path, sqlitefile.ModeImmutable)
}

// ExamineReplaced locks the database at a site until the site is closed, and returns it for reading, or nil if
// there is none. It takes only a database of apikeyd that no other process has open. The caller must not Close
// what it returns.
func ExamineReplaced(ctx context.Context, site *sqlitefile.Site) (*Examination, error) {
	if _, err := os.Lstat(site.Path()); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	// The first look changes nothing: a file that is not ours must stay as it is, and so must its companions.
	e, err := Examine(ctx, site.Path())
	if err != nil {
		return nil, err
	}
	if err := e.Close(); err != nil {
		return nil, err
	}
	old, err := site.Take(ctx)
	if err != nil {
		return nil, err
	}
	e = &Examination{pool: old, path: site.Path()}
	e.version, e.target, err = SchemaOf(site.Path()).Versions(ctx, old)
	return e, err
}

// Backup copies a database, while a server may be writing to it, into an empty file.
func Backup(ctx context.Context, from string, to *os.File, progress func(done, total int)) (err error) {
	e, err := Examine(ctx, from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	return sqlitefile.Copy(ctx, e.pool, to, progress)
}

// examine takes over the file. The name is for messages.
func examine(ctx context.Context, file *sqlitefile.File, name string, m sqlitefile.Mode) (_ *Examination, err error) {
	e := &Examination{file: file, path: file.Path()}
	if e.pool, err = sqlitefile.OpenPool(ctx, e.path, m); err == nil {
		e.version, e.target, err = SchemaOf(e.path).Versions(ctx, e.pool)
	}
	switch {
	case err != nil:
	case e.version > e.target:
		err = store.ErrTooNew
	case e.version == 0:
		err = ErrEmpty
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", name, sqlitefile.Translate(err)), e.Close())
	}
	return e, nil
}

// Close ends the examination.
func (e *Examination) Close() error {
	var errs []error
	if e.pool != nil {
		errs = append(errs, e.pool.Close())
	}
	return errors.Join(append(errs, e.file.Close())...)
}

// IsCurrent reports whether the schema is the one that this program needs. In an older one, only Integrity and
// Contents check something; a server brings it up to date.
func (e *Examination) IsCurrent() bool { return e.version == e.target }

// All runs every check, and returns the first error; but an altered audit log, which nobody can repair, must not
// keep keys from being backed up.
func (e *Examination) All(ctx context.Context) (Contents, error) {
	for _, check := range []func(context.Context) error{e.Size, e.Integrity, e.Keys, e.Foreign, e.Owners, e.Names, e.Counts} {
		if err := check(ctx); err != nil {
			return Contents{}, err
		}
	}
	altered := e.Audit(ctx)
	if altered != nil && !errors.Is(altered, ErrAltered) {
		return Contents{}, altered
	}
	contents, err := e.Contents(ctx)
	contents.Altered = altered
	return contents, err
}

// Contents returns what the database holds.
func (e *Examination) Contents(ctx context.Context) (Contents, error) {
	c := Contents{Schema: e.version}
	var last sql.NullInt64
	err := e.row(ctx, `SELECT (SELECT count(*) FROM api_keys),
			(SELECT count(*) FROM api_keys WHERE revoked_at IS NOT NULL),
			(SELECT count(*) FROM audit_events)`, &c.Keys, &c.Revoked, &c.Events)
	if err != nil {
		return c, err
	}
	// Ids are ordered by time.
	err = e.row(ctx, `SELECT max(
			coalesce((SELECT created_at FROM api_keys ORDER BY id DESC LIMIT 1), 0),
			coalesce((SELECT at FROM audit_events ORDER BY id DESC LIMIT 1), 0))`, &last)
	if last.Int64 > 0 {
		c.Last = fromMillis(last)
	}
	return c, err
}

func (e *Examination) reads() pool { return newSQLPool(e.pool, &sqliteDialect.snapshot) }

func (e *Examination) row(ctx context.Context, query string, into ...any) error {
	return sqlitefile.During(ctx, first(ctx, e.reads(), query).Scan(into...))
}

func (e *Examination) rows(ctx context.Context, scan func(row) error, query string, args ...any) error {
	return sqlitefile.During(ctx, e.reads().each(ctx, scan, query, args...))
}
