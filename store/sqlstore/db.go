// Package sqlstore keeps keys and their audit log in SQLite, behind one portable
// SQL text. It is the only package that knows SQL.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gofrs/flock"

	"apikeyd/apikey"
	"apikeyd/store"
)

// Options says how to open a database. Only Path is needed.
type Options struct {
	// Path of the SQLite file.
	Path string

	// Serve opens the database for a server: it creates the file if there is none,
	// brings the schema up to date, and locks out every other server until Close.
	// Without it, Open takes the database as it is, beside a server or not.
	Serve bool

	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// The reasons for which Open refuses a database, beside those of the file system.
var (
	ErrInUse       = errors.New("another apikeyd serves this database")
	ErrMissing     = errors.New("there is no database here")
	ErrForeign     = errors.New("this is not a database of apikeyd")
	ErrTooNew      = errors.New("the database was written by a newer apikeyd")
	ErrNotMigrated = errors.New("the database was written by an older apikeyd; run apikeyd serve on it once")
)

// DB is a store.Store over one SQLite file.
type DB struct {
	writer *sql.DB // one connection; every transaction takes the write lock at once
	reader *sql.DB
	path   string
	file   os.FileInfo  // the file we opened, to notice when it is gone
	lock   *flock.Flock // nil unless serving
	now    func() time.Time
}

var _ store.Store = (*DB)(nil)

// Open opens a database. The caller must Close it.
func Open(ctx context.Context, o Options) (_ *DB, err error) {
	db := &DB{path: o.Path, now: o.Now}
	if db.now == nil {
		db.now = time.Now
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("database %s: %w", o.Path, err), db.Close())
		}
	}()
	if err := db.openFile(o.Serve); err != nil {
		return nil, err
	}
	if db.reader, err = openPool(ctx, db.path, reading); err != nil {
		return nil, err
	}
	// Before the writer, which turns whatever file it opens into a WAL database.
	if err := checkSchema(ctx, db.reader, o.Serve); err != nil {
		return nil, err
	}
	if db.writer, err = openPool(ctx, db.path, writing); err != nil {
		return nil, err
	}
	if o.Serve {
		if err := migrate(ctx, db.writer); err != nil {
			return nil, err
		}
	}
	return db, nil
}

// openFile makes sure that the file exists, is private, and is ours alone to serve.
func (db *DB) openFile(serve bool) error {
	if serve {
		lock := flock.New(db.path+".lock", flock.SetPermissions(0o600))
		held, err := lock.TryLock()
		if err != nil {
			return err
		}
		if !held {
			return ErrInUse
		}
		db.lock = lock
		f, err := os.OpenFile(db.path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	info, err := os.Stat(db.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return ErrMissing
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	}
	db.file = info
	return nil
}

// present notices that the file was deleted or replaced under us. SQLite would go
// on writing to the deleted one, and acknowledged keys would be lost.
func (db *DB) present() error {
	info, err := os.Stat(db.path)
	if err != nil || !os.SameFile(info, db.file) {
		return fmt.Errorf("%w: the database file %s was removed or replaced", store.ErrUnavailable, db.path)
	}
	return nil
}

// Ping implements store.Store.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.present(); err != nil {
		return err
	}
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return translate(ctx, err)
	}
	return translate(ctx, tx.Rollback())
}

// Close implements store.Store.
func (db *DB) Close() error {
	var errs []error
	for _, pool := range []*sql.DB{db.reader, db.writer} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Unlock())
	}
	return errors.Join(errs...)
}

// millis is how a time is stored; the zero time is NULL.
func millis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

func fromMillis(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

// nullID is how an id is stored; the zero id is NULL.
func nullID(id apikey.ID) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}
