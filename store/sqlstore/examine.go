package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/dbname"
	"apikeyd/store/sqlitefile"
)

// The reasons for which an examination finds a database bad, beside those of Open.
var (
	ErrEmpty     = errors.New("the database is empty: apikeyd never wrote to it")
	ErrMiscounts = errors.New("the numbers of keys in key_counts are not those of the keys")
	ErrAltered   = errors.New("the audit log is not what was written")
)

// Examination looks at a database, beside a server or not, and leaves its files as they are.
type Examination struct {
	file            *sqlitefile.File
	pool            *sql.DB
	path            string
	version, target int64 // of its schema, and of ours
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

// Examine opens a database to look at it. The caller must Close it. It refuses, as Open
// does, what is not ours or too new.
func Examine(ctx context.Context, path string) (*Examination, error) {
	file, err := sqlitefile.Open(path, sqlitefile.ToRead)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", dbname.Show(path), err)
	}
	return examine(ctx, file, file.Path(), sqlitefile.ModeInspect)
}

// ExamineFile is Examine for a file that nobody writes to, such as a backup: it leaves no
// files beside it. It refuses one that is a database in use under another name.
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
	// First without changing anything: a file that is not ours must stay as it is, and so must its companions.
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

// IsCurrent reports whether the schema is ours. An older one has only what Integrity and
// Contents look at; a server brings it up to date.
func (e *Examination) IsCurrent() bool { return e.version == e.target }

// All is every other method in turn. It returns the first that finds something bad; but an
// audit log that was altered, which nobody can mend, must not keep keys from being backed up.
func (e *Examination) All(ctx context.Context) (Contents, error) {
	for _, check := range []func(context.Context) error{e.Size, e.Integrity, e.Keys, e.Names, e.Counts} {
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

// Size checks that a file which nobody writes to is as long as its pages.
func (e *Examination) Size(ctx context.Context) error {
	var pages, size int64
	err := e.row(ctx, `SELECT page_count, page_size FROM pragma_page_count, pragma_page_size`, &pages, &size)
	if err != nil {
		return err
	}
	info, err := os.Stat(e.path)
	if err == nil && info.Size() != pages*size {
		return fmt.Errorf("%w: its file has %d bytes and its pages %d", store.ErrDamaged, info.Size(), pages*size)
	}
	return err
}

// Integrity checks that SQLite finds the file sound: its pages and its indexes.
func (e *Examination) Integrity(ctx context.Context) error {
	var found []string
	scan := func(rows *sql.Rows) error {
		var line string
		err := rows.Scan(&line)
		if line != "ok" {
			found = append(found, line)
		}
		return err
	}
	err := errors.Join(
		e.rows(ctx, scan, `PRAGMA integrity_check(3)`),
		e.rows(ctx, scan, `SELECT 'foreign key of ' || "table" FROM pragma_foreign_key_check LIMIT 3`))
	if err == nil && found != nil {
		err = fmt.Errorf("%w: %s", store.ErrDamaged, strings.Join(found, "; "))
	}
	return err
}

// rowsAtOnce is how many keys one statement reads: a server's log cannot begin anew while
// one runs.
const rowsAtOnce = 10_000

// Keys checks that every key can be read and makes sense.
func (e *Examination) Keys(ctx context.Context) error {
	if !e.IsCurrent() {
		return nil
	}
	// A rule of the table, which SQLite's own check passes over for who may only read.
	var short string
	err := e.row(ctx, `SELECT hex(id) FROM api_keys
		WHERE length(id) <> 16 OR length(secret_hash) <> 32 OR length(old_secret_hash) <> 32 LIMIT 1`, &short)
	if err == nil {
		err = fmt.Errorf("%w: the id or a hash of key %s has the wrong length", store.ErrDamaged, short)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return e.someKeys(ctx, func(keys []apikey.Key) error {
		for _, key := range keys {
			if err := checkKey(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// someKeys calls do with all keys in the order of their ids, some at a time.
func (e *Examination) someKeys(ctx context.Context, do func([]apikey.Key) error) error {
	last := []byte{}
	for {
		var keys []apikey.Key
		err := e.rows(ctx, func(rows *sql.Rows) error {
			key, err := scanKey(rows)
			if err != nil && !errors.Is(err, store.ErrDamaged) {
				err = fmt.Errorf("%w: %w", store.ErrDamaged, err)
			}
			keys = append(keys, key)
			return err
		}, `SELECT `+selectedColumns(e.version)+` FROM api_keys WHERE id > $1 ORDER BY id LIMIT $2`, last, rowsAtOnce)
		if err != nil || len(keys) == 0 {
			return err
		}
		if err := do(keys); err != nil {
			return err
		}
		last = keys[len(keys)-1].ID[:]
	}
}

// checkKey checks what scanKey takes as it is. What names and scopes may be is not asked: a
// rule that came later must not keep a key from being backed up.
func checkKey(k apikey.Key) error {
	wrong := ""
	switch {
	case k.ID.IsZero():
		wrong = "id"
	case k.Owner == "":
		wrong = "owner"
	case k.Name == "":
		wrong = "name"
	case k.SecretHash == apikey.Hash{}:
		wrong = "secret_hash"
	case k.CreatedAt.IsZero() || k.ExpiresAt.IsZero():
		wrong = "times"
	case (k.OldSecretHash == apikey.Hash{}) != k.OldSecretUntil.IsZero():
		wrong = "old secret"
	case (k.RateLimit.Limit > 0) != (k.RateLimit.Window > 0):
		wrong = "rate limit"
	default:
		return nil
	}
	return fmt.Errorf("%w: the %s of key %s makes no sense", store.ErrDamaged, wrong, k.ID)
}

// Names checks that no owner has two keys of one name that are not revoked.
func (e *Examination) Names(ctx context.Context) error {
	var owner, name string
	err := e.row(ctx, `SELECT owner, name FROM api_keys WHERE revoked_at IS NULL
		GROUP BY owner, name HAVING count(*) > 1 LIMIT 1`, &owner, &name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: %q has two keys named %q", store.ErrDamaged, owner, name)
}

// Audit checks that the audit log is what was written. It returns ErrAltered if not.
func (e *Examination) Audit(ctx context.Context) error {
	if !e.IsCurrent() {
		return nil
	}
	reports, err := verifyChains(ctx, e.pool, &sql.TxOptions{ReadOnly: true}, sharedChain, nil)
	if err != nil {
		return sqlitefile.During(ctx, err)
	}
	for _, report := range reports {
		if len(report.Faults) > 0 {
			return fmt.Errorf("%w: chain %q: %s", ErrAltered, report.Head.Chain, report.Faults[0])
		}
	}
	return nil
}

// Counts checks that key_counts says how many keys each owner has. It returns ErrMiscounts
// if not; Recount mends that.
func (e *Examination) Counts(ctx context.Context) error {
	if !e.IsCurrent() {
		return nil
	}
	// In one statement, so that both sides are of one moment.
	var wrong int
	err := e.row(ctx, `WITH counted AS (
			SELECT owner, count(*) AS keys FROM api_keys GROUP BY owner
			UNION ALL SELECT '', count(*) FROM api_keys
		)
		SELECT count(*) FROM counted FULL JOIN key_counts ON key_counts.owner = counted.owner
		WHERE coalesce(counted.keys, 0) <> coalesce(key_counts.keys, 0)`, &wrong)
	if err == nil && wrong > 0 {
		return fmt.Errorf("%w, for %d owners", ErrMiscounts, wrong)
	}
	return err
}

// Contents says what the database holds.
func (e *Examination) Contents(ctx context.Context) (Contents, error) {
	c := Contents{Schema: e.version}
	var last sql.NullInt64
	err := e.row(ctx, `SELECT (SELECT count(*) FROM api_keys),
			(SELECT count(*) FROM api_keys WHERE revoked_at IS NOT NULL),
			(SELECT count(*) FROM audit_events)`, &c.Keys, &c.Revoked, &c.Events)
	if err != nil {
		return c, err
	}
	// Ids are in the order of time.
	err = e.row(ctx, `SELECT max(
			coalesce((SELECT created_at FROM api_keys ORDER BY id DESC LIMIT 1), 0),
			coalesce((SELECT at FROM audit_events ORDER BY id DESC LIMIT 1), 0))`, &last)
	if last.Int64 > 0 {
		c.Last = fromMillis(last)
	}
	return c, err
}

// Settings checks that SQLite takes the settings with which a server writes.
func (e *Examination) Settings(ctx context.Context) error {
	return sqlitefile.CheckSettings(ctx, e.pool)
}

// HasLog reports whether the database is in WAL mode, as a server leaves it. A restored one
// is not until it is served.
func (e *Examination) HasLog(ctx context.Context) (bool, error) {
	var mode string
	err := e.row(ctx, `PRAGMA journal_mode`, &mode)
	return mode == "wal", err
}

func (e *Examination) row(ctx context.Context, query string, into ...any) error {
	return sqlitefile.During(ctx, e.pool.QueryRowContext(ctx, query).Scan(into...))
}

func (e *Examination) rows(ctx context.Context, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := e.pool.QueryContext(ctx, query, args...)
	if err != nil {
		return sqlitefile.During(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return sqlitefile.During(ctx, err)
		}
	}
	return sqlitefile.During(ctx, rows.Err())
}
