package sqlstore

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
)

// moveEnd is a database that is moved, or moved to.
type moveEnd struct {
	moveEngine
	name       string // for messages
	pool       *sql.DB
	unfinished bool // a move into it was begun
	taken      bool // it is whole, and not empty
}

// moveEngine is what a move does differently for each kind of database.
type moveEngine interface {
	// versions returns the version of the schema, 0 for an empty database, and ours.
	versions(ctx context.Context, pool *sql.DB) (current, target int64, err error)
	// isUnfinished reports whether the table of an unfinished move is there.
	isUnfinished(ctx context.Context, pool *sql.DB) (bool, error)
	migrate(ctx context.Context, pool *sql.DB) error
	// rowLock ends a query that keeps others from reading a row so.
	rowLock() string
	translate(err error) error
	// Present fails if the database is not the one that was opened.
	Present() error
	Close() error
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

// openMoveSource opens a database that nobody serves, to read it.
func openMoveSource(ctx context.Context, path string) (*moveEnd, error) {
	if dbname.IsPostgres(path) {
		return openMoveServer(ctx, path, false)
	}
	return openMoveFile(ctx, path, false)
}

// openMoveTarget opens a database that is empty, or looks what is in it.
func openMoveTarget(ctx context.Context, path string) (*moveEnd, error) {
	if dbname.IsPostgres(path) {
		return openMoveServer(ctx, path, true)
	}
	return openMoveFile(ctx, path, true)
}

// look finds out what is in a database.
func (e *moveEnd) look(ctx context.Context, target bool) (err error) {
	if e.unfinished, err = e.isUnfinished(ctx, e.pool); err != nil {
		return e.translate(err)
	}
	if e.unfinished {
		if !target {
			return ErrUnfinished
		}
		return nil
	}
	current, ours, err := e.versions(ctx, e.pool)
	switch {
	case err != nil:
		return e.translate(err)
	case current > ours:
		return store.ErrTooNew
	case current == 0 && !target:
		return ErrEmpty
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

// chains is a hash of where the chains of the audit log begin and end. Every change of a
// key moves the end of one.
func (e *moveEnd) chains(ctx context.Context) (string, error) {
	sum, err := sumOf(ctx, e.pool, marks, func(int64) {})
	return sum.text(), err
}

// rows counts what is to be copied.
func (e *moveEnd) rows(ctx context.Context, q querier) (total int64, err error) {
	for _, t := range bulk {
		var n int64
		if err := q.QueryRowContext(ctx, `SELECT count(*) FROM `+t.name+` WHERE true`+t.only).Scan(&n); err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// transaction does something that happens whole or not at all.
func (e *moveEnd) transaction(ctx context.Context, do func(*sql.Tx) error) error {
	conn, err := e.pool.Conn(ctx)
	if err != nil {
		return err
	}
	// When ctx ends, the transaction is undone in the background: this waits for it.
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

// moveError says where a move failed.
type moveError struct{ err error }

func (e moveError) Error() string { return e.err.Error() }
func (e moveError) Unwrap() error { return e.err }

// failed says at which end a move failed, and doing what; once.
func (e *moveEnd) failed(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, said := errors.AsType[moveError](err); said {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err() // whatever a driver calls it
	}
	return moveError{fmt.Errorf("database %s: %s: %w", e.name, doing, e.translate(err))}
}

// moveFile is a SQLite file, kept free of servers.
type moveFile struct {
	*sqlitefile.File
	pools []*sql.DB
}

func openMoveFile(ctx context.Context, path string, target bool) (_ *moveEnd, err error) {
	f := &moveFile{}
	purpose := sqlitefile.ToRead
	if target {
		purpose = sqlitefile.ToServe
	}
	if f.File, err = sqlitefile.Open(path, purpose); err != nil {
		return nil, err
	}
	e := &moveEnd{moveEngine: f, name: path}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	m := sqlitefile.ModeRecover
	if !target {
		if err := f.LockOut(); err != nil {
			return nil, err
		}
		m = sqlitefile.ModeInspect
	}
	if err := f.open(ctx, e, m); err != nil {
		return nil, err
	}
	if err := e.look(ctx, target); err != nil || !target || e.taken {
		return e, err
	}
	// Now that it is ours, as one who writes.
	f.RecordName()
	return e, f.open(ctx, e, sqlitefile.ModeWrite)
}

// open gives an end another pool.
func (f *moveFile) open(ctx context.Context, e *moveEnd, m sqlitefile.Mode) error {
	pool, err := sqlitefile.OpenPool(ctx, f.Path(), m)
	if err != nil {
		return sqlitefile.Translate(err)
	}
	e.pool, f.pools = pool, append(f.pools, pool)
	return nil
}

func (f *moveFile) versions(ctx context.Context, pool *sql.DB) (current, target int64, err error) {
	return schemaVersions(ctx, pool)
}

func (f *moveFile) isUnfinished(ctx context.Context, pool *sql.DB) (bool, error) {
	return hasMoveFile(ctx, pool)
}

func (f *moveFile) migrate(ctx context.Context, pool *sql.DB) error {
	return migrate(ctx, pool, slog.New(slog.DiscardHandler))
}
func (f *moveFile) rowLock() string           { return "" } // the file has one writer
func (f *moveFile) translate(err error) error { return sqlitefile.Translate(err) }

func (f *moveFile) Close() error {
	var errs []error
	for _, pool := range f.pools { // the one that writes last: it brings the log home
		errs = append(errs, pool.Close())
	}
	return errors.Join(append(errs, f.File.Close())...)
}

// hasMoveFile reports whether a move into a file is not finished.
func hasMoveFile(ctx context.Context, q querier) (unfinished bool, err error) {
	err = q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'apikeyd_move')`).
		Scan(&unfinished)
	return unfinished, sqlitefile.TranslateOpen(err)
}

// moveServer is a database on a PostgreSQL server.
type moveServer struct{ pool *sql.DB }

func openMoveServer(ctx context.Context, path string, target bool) (_ *moveEnd, err error) {
	config, err := postgres.Config(path)
	if err != nil {
		return nil, err
	}
	others := config.RuntimeParams["application_name"]
	config.RuntimeParams["application_name"] = others + " migrate-store"
	s := &moveServer{postgres.OpenPool(config, 2)}
	e := &moveEnd{moveEngine: s, name: dbname.Show(path), pool: s.pool}
	if err := s.refuseNodes(ctx, others); err != nil {
		return nil, errors.Join(postgres.Explain(err), s.Close())
	}
	if err := e.look(ctx, target); err != nil {
		return nil, errors.Join(postgres.Explain(err), s.Close())
	}
	return e, nil
}

// refuseNodes returns ErrInUse while a node, or a command, has the database open as far as
// that can be seen: under the name that this URL gives them, and as this user or another
// one whose sessions this user may see. Sessions that are about to end are given some time.
//
// The table nodes is not asked: a row there can be of a node that died.
func (s *moveServer) refuseNodes(ctx context.Context, name string) error {
	for range 20 {
		var sessions int
		err := s.pool.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity
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

func (s *moveServer) versions(ctx context.Context, pool *sql.DB) (current, target int64, err error) {
	return postgresVersions(ctx, pool)
}

func (s *moveServer) isUnfinished(ctx context.Context, pool *sql.DB) (bool, error) {
	return hasMovePostgres(ctx, pool)
}

func (s *moveServer) migrate(ctx context.Context, pool *sql.DB) error {
	return migratePostgres(ctx, pool)
}
func (s *moveServer) rowLock() string           { return ` FOR UPDATE` }
func (s *moveServer) translate(err error) error { return postgres.Translate(err) }
func (s *moveServer) Present() error            { return nil }
func (s *moveServer) Close() error              { return s.pool.Close() }

// hasMovePostgres reports whether a move into a database is not finished.
func hasMovePostgres(ctx context.Context, q querier) (unfinished bool, err error) {
	err = q.QueryRowContext(ctx, `SELECT to_regclass('apikeyd_move') IS NOT NULL`).Scan(&unfinished)
	return unfinished, err
}
