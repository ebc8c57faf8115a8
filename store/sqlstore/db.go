// Package sqlstore keeps keys and their audit log in SQLite or PostgreSQL, with the same SQL for both. No package
// outside store knows SQL.
package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"apikeyd/store"
	"apikeyd/store/dbname"
	"apikeyd/store/sqlitefile"
	"apikeyd/store/sqlstore/lease"
)

// Options says how to open a database. Only Path is required.
type Options struct {
	// Path of the SQLite file, or the URL of a PostgreSQL database (postgres://…).
	Path string

	// Node names the chain of audit events to which this process appends, on PostgreSQL. Several processes may
	// share one, but then wait for each other.
	Node string

	// Serve opens the database for a server: Open brings the schema up to date. It creates a file if there is
	// none, and locks out other servers until Close.
	// Without Serve, Open takes the database as it is, beside a server or not.
	Serve bool

	// MaxKeys bounds the keys of owners without a bound of their own, for callers that are no admins; 0 does not.
	MaxKeys int

	// Now is the clock; nil is time.Now.
	Now func() time.Time

	// Log gets what no caller is told: that the schema is brought up to date, or that the file cannot be read,
	// and when it can again. Nil discards it.
	Log *slog.Logger
}

// DB is a store.Store over one database.
type DB struct {
	dialect   *dialect
	condition *condition
	engine    engine
	file      *sqlitefile.File // nil on a server
	node      *lease.Node      // nil on a file
	opened    []io.Closer      // connections, in this order
	writer    *writer
	reader    pool    // for lists, which may take long
	turns     *turns  // of the callers that want lists
	points    pool    // for short reads, which must not wait for lists
	budget    *budget // nil if only one node uses the database
	now       func() time.Time
	close     func() error

	delivering turnOfDelivery // who delivers events to webhooks
}

var _ store.Store = (*DB)(nil)

// Open opens a database. The caller must Close it.
func Open(ctx context.Context, o Options) (_ *DB, err error) {
	db := &DB{now: o.Now}
	db.close = sync.OnceValue(db.closeAll)
	if db.now == nil {
		db.now = time.Now
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("database %s: %w", dbname.Show(o.Path), err), db.Close())
		}
	}()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	open := db.openSQLite
	if dbname.IsPostgres(o.Path) {
		open = db.openPostgres
	}
	if err := dbname.CheckOpen(o.Path); err != nil {
		return nil, err
	}
	if err := open(ctx, o); err != nil {
		return nil, err
	}
	db.writer.defaultMaxKeys = o.MaxKeys
	db.writer.start()
	return db, nil
}

// use chooses the kind of database.
func (db *DB) use(d *dialect) {
	db.dialect, db.condition = d, &condition{dialect: d}
}

// Watch implements store.Store.
func (db *DB) Watch(w store.Watcher) {
	db.writer.watch(w)
	if db.node != nil {
		db.node.Watch(w)
	}
}

// System is what OpenTelemetry calls this kind of database.
func (db *DB) System() string { return db.dialect.system }

// read runs a query, unless its caller is gone or the database cannot be trusted.
func (db *DB) read(ctx context.Context, query func() error) error {
	err := db.condition.err()
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = db.condition.during(ctx, db.dialect.retryEnded(func() error { return db.condition.guarded(query) }))
	}
	return err
}

// scan is read for queries that may take long: their callers take turns.
func (db *DB) scan(ctx context.Context, query func() error) error {
	done, err := db.turns.take(ctx, store.AskerOf(ctx))
	if err != nil {
		return err
	}
	defer done()
	return db.read(ctx, query)
}

// readSnapshot runs queries that all see one state of the database.
func (db *DB) readSnapshot(ctx context.Context, queries func(querier) error) error {
	return db.scan(ctx, func() error { return db.reader.snapshot(ctx, queries) })
}

// lookUp is read for a query that ends soon. The query finishes even if its caller gives up: a connection that takes
// longer to be made than the caller waits, because the first host is silent, is there for the next caller. In a file
// such a query takes next to no time, and watching for an end would cost more.
func (db *DB) lookUp(ctx context.Context, query func(context.Context) error) error {
	return db.read(ctx, func() error {
		brief, done := db.brief(ctx)
		defer done()
		return query(brief)
	})
}

// brief returns the context of a query that ends soon, and the function that releases it.
func (db *DB) brief(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	if db.dialect.lookupTimeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, db.dialect.lookupTimeout)
}

// Ping implements store.Store.
func (db *DB) Ping(ctx context.Context) error {
	// Looked at now, not when the writer last did: a file may be back.
	if err := db.condition.damaged(); err != nil {
		return err
	}
	if db.file != nil {
		if err := db.file.Present(); err != nil {
			return err
		}
	}
	brief, done := db.brief(ctx)
	defer done()
	err := db.dialect.retryEnded(func() error {
		return db.condition.guarded(func() error {
			var one int
			return first(brief, db.points, `SELECT count(*) FROM (SELECT id FROM api_keys LIMIT 1) AS one`).Scan(&one)
		})
	})
	return db.condition.during(ctx, err)
}

// Close implements store.Store. Closing twice does nothing more.
func (db *DB) Close() error { return db.close() }

func (db *DB) closeAll() error {
	var errs []error
	if db.writer != nil {
		db.writer.close()
	}
	// The one that writes is the first, and closed last: only a writable connection can checkpoint the WAL.
	for _, opened := range slices.Backward(db.opened) {
		errs = append(errs, opened.Close())
	}
	if db.budget != nil {
		db.budget.sweeping.Wait() // without connections it ends at once
	}
	if db.engine != nil {
		errs = append(errs, db.engine.close())
	}
	return errors.Join(errs...)
}
