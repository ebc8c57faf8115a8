package migratestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"apikeyd/store"
	"apikeyd/store/dbname"
	"apikeyd/store/postgres"
	"apikeyd/store/sqlitefile"
	"apikeyd/store/sqlstore"
)

// end is the database that is moved, or the one that it is moved to.
type end struct {
	name      string // for messages
	schema    sqlstore.Schema
	pool      *sql.DB
	rowLock   string // ends a query that makes others wait for the rows that it reads
	translate func(error) error
	file      *sqlitefile.File // nil on a server
	opened    []*sql.DB        // in this order

	unfinished bool // a move into it was begun
	taken      bool // it is complete, and not empty
}

// isSame reports whether two names are of one database, as far as names tell.
func isSame(a, b string) bool {
	if dbname.IsPostgres(a) || dbname.IsPostgres(b) {
		return a == b
	}
	fileA, errA := os.Stat(a)
	fileB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(fileA, fileB)
}

// open opens a database that nobody serves: the target to write to it, the source only to read.
func open(ctx context.Context, name string, target bool) (_ *end, err error) {
	e := &end{schema: sqlstore.SchemaOf(name)}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	if dbname.IsPostgres(name) {
		return e, postgres.Explain(e.openServer(ctx, name, target))
	}
	return e, e.openFile(ctx, name, target)
}

// close closes a file's writable pool last: it checkpoints the WAL.
func (e *end) close() error {
	var errs []error
	for _, pool := range e.opened {
		errs = append(errs, pool.Close())
	}
	if e.file != nil {
		errs = append(errs, e.file.Close())
	}
	return errors.Join(errs...)
}

// use makes a pool the one that is used from now on.
func (e *end) use(pool *sql.DB) { e.pool, e.opened = pool, append(e.opened, pool) }

// present fails if the database is not the one that was opened.
func (e *end) present() error {
	if e.file == nil {
		return nil
	}
	return e.file.Present()
}

// openFile locks servers out of a file.
func (e *end) openFile(ctx context.Context, path string, target bool) (err error) {
	e.name, e.translate = path, sqlitefile.Translate
	purpose, m := sqlitefile.ToRead, sqlitefile.ModeInspect
	if target {
		purpose, m = sqlitefile.ToServe, sqlitefile.ModeRecover
	}
	file, err := sqlitefile.Open(path, purpose)
	if err != nil {
		return err
	}
	e.file = file
	if !target {
		if err := file.LockOut(); err != nil {
			return err
		}
	}
	if err := e.connect(ctx, m); err != nil {
		return err
	}
	if err := e.inspect(ctx, target); err != nil || !target || e.taken {
		return err
	}
	// It is ours now, so it may be switched to WAL mode.
	file.RecordName()
	return e.connect(ctx, sqlitefile.ModeWrite)
}

func (e *end) connect(ctx context.Context, m sqlitefile.Mode) error {
	pool, err := sqlitefile.OpenPool(ctx, e.file.Path(), m)
	if err != nil {
		return sqlitefile.Translate(err)
	}
	e.use(pool)
	return nil
}

func (e *end) openServer(ctx context.Context, url string, target bool) error {
	e.name, e.translate, e.rowLock = dbname.Show(url), postgres.Translate, ` FOR UPDATE`
	config, err := postgres.Config(url)
	if err != nil {
		return err
	}
	others := config.RuntimeParams["application_name"]
	config.RuntimeParams["application_name"] = others + " migrate-store"
	e.use(postgres.OpenPool(config, 2))
	if err := e.refuseNodes(ctx, others); err != nil {
		return err
	}
	return e.inspect(ctx, target)
}

// refuseNodes returns store.ErrInUse while a node, or a command, has the database open as far as
// that can be seen: under the name that this URL gives them, and as this user or another
// one whose sessions this user may see. Sessions that are about to end are given some time.
//
// The table nodes is not asked: a row there can be of a node that died.
func (e *end) refuseNodes(ctx context.Context, name string) error {
	for range 20 {
		var sessions int
		err := e.pool.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = $1`, name).Scan(&sessions)
		if err != nil {
			return postgres.Translate(err)
		}
		if sessions == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return store.ErrInUse
}

// inspect finds out what a database contains.
func (e *end) inspect(ctx context.Context, target bool) (err error) {
	if e.unfinished, err = e.schema.IsUnfinished(ctx, e.pool); err != nil {
		return e.translate(err)
	}
	if e.unfinished {
		if !target {
			return sqlstore.ErrUnfinished
		}
		return nil
	}
	current, ours, err := e.schema.Versions(ctx, e.pool)
	switch {
	case err != nil:
		return e.translate(err)
	case current > ours:
		return store.ErrTooNew
	case current == 0 && !target:
		return sqlstore.ErrEmpty
	case current == 0:
		return nil
	case current < ours && target:
		return ErrTargetTaken
	case current < ours:
		return store.ErrNotMigrated
	}
	e.taken = target
	return nil
}

func (e *end) migrate(ctx context.Context) error {
	return e.schema.Migrate(ctx, e.pool, slog.New(slog.DiscardHandler))
}

// chains is a hash of where the chains of the audit log begin and end. Every change of a
// key moves the end of one.
func (e *end) chains(ctx context.Context) (string, error) {
	sum, err := sumOf(ctx, e.pool, marks, func(int64) {})
	return sum.text(), err
}

// rows counts the rows to copy.
func (e *end) rows(ctx context.Context) (total int64, err error) {
	for _, t := range bulk {
		var n int64
		if err := e.pool.QueryRowContext(ctx, `SELECT count(*) FROM `+t.name+` WHERE true`+t.only).Scan(&n); err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// transaction does something completely or not at all.
func (e *end) transaction(ctx context.Context, do func(*sql.Tx) error) error {
	conn, err := e.pool.Conn(ctx)
	if err != nil {
		return err
	}
	// When ctx ends, the transaction is rolled back in the background: this waits for it.
	defer func() { _ = conn.Close() }()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx.Commit()
}

// ignoreDone is the error of a rollback, unless the transaction had ended by itself.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// locatedError already says at which end a move failed.
type locatedError struct{ err error }

func (e locatedError) Error() string { return e.err.Error() }
func (e locatedError) Unwrap() error { return e.err }

// failed says at which end a move failed, and doing what; once.
func (e *end) failed(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, located := errors.AsType[locatedError](err); located {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err() // whatever the driver calls it
	}
	return locatedError{fmt.Errorf("database %s: %s: %w", e.name, doing, e.translate(err))}
}
