package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

// sqliteEngine is a file, which other processes may change too: the command line beside the server.
type sqliteEngine struct {
	file        *sqlitefile.File
	condition   *condition
	serve       bool
	dataVersion int64     // of the file at the last look; only the writer uses it
	failedAt    time.Time // when a COMMIT failed whose outcome is unknown, or zero; only the writer uses it
}

var _ engine = (*sqliteEngine)(nil)

var sqliteDialect = dialect{
	system:       "sqlite",
	snapshot:     sql.TxOptions{ReadOnly: true},
	mergesExcept: true,
	chain:        sharedChain,
	translate:    sqlitefile.Translate,
}

// openSQLite opens a file, but does not start the writer.
func (db *DB) openSQLite(ctx context.Context, o Options) (err error) {
	purpose := sqlitefile.ToRead
	if o.Serve {
		purpose = sqlitefile.ToServe
	}
	db.use(&sqliteDialect)
	if db.file, err = sqlitefile.Open(o.Path, purpose); err != nil {
		return err
	}
	e := &sqliteEngine{file: db.file, condition: db.condition, serve: o.Serve}
	db.engine = e
	path, schema := db.file.Path(), SchemaOf(o.Path)
	// Before the writer, which switches whatever file it opens to WAL mode.
	if err := inspect(ctx, path, schema, o.Serve); err != nil {
		return err
	}
	db.file.RecordName()
	if links := sqlitefile.Links(path); links > 0 {
		o.Log.Warn("the database file has other names (hard links): open it under one name only, and remove the others",
			"file", path, "others", links)
	}
	if o.Serve {
		if err := migrateFile(ctx, path, schema, o.Log); err != nil {
			return err
		}
	}
	conn, err := sqlitefile.Connect(path, sqlitefile.ModeWrite)
	if err != nil {
		return err
	}
	db.opened = append(db.opened, conn)
	db.writer = newWriter(sqliteConn{conn}, db, sharedChain, o.Log)
	db.writer.poll = e.poll
	if e.dataVersion, err = readDataVersion(db.writer); err != nil {
		return err
	}
	lists, points := sqlitefile.ConnectAll(path), sqlitefile.ConnectAll(path)
	db.opened = append(db.opened, lists, points)
	db.reader, db.points = sqlitePool{lists}, sqlitePool{points}
	db.turns = newTurns(sqlitefile.Connections())
	// The writer has read by now, so the WAL file is there.
	return db.file.Watch(path + "-wal")
}

// migrateFile brings a file's schema up to date.
func migrateFile(ctx context.Context, path string, schema Schema, log *slog.Logger) error {
	pool, err := sqlitefile.OpenPool(ctx, path, sqlitefile.ModeWrite)
	if err != nil {
		return err
	}
	return errors.Join(schema.Migrate(ctx, pool, log), pool.Close())
}

func (e *sqliteEngine) begin(w *writer) error {
	if err := e.condition.damaged(); err != nil {
		return err // writing may make it worse
	}
	if err := e.discardFailed(w); err != nil {
		return fmt.Errorf("%w: the outcome of an earlier change is not known yet: %w", store.ErrUnavailable, err)
	}
	if err := w.exec(`BEGIN IMMEDIATE`); err != nil {
		return err
	}
	return w.noted(e.look)
}

func (e *sqliteEngine) commit(w *writer, _ []apikey.ID) error {
	if err := w.exec(`COMMIT`); err != nil {
		return e.afterFailedCommit(w, err)
	}
	// A file that disappeared meanwhile has the change, and may come back.
	if err := e.file.Present(); err != nil {
		return uncertain(err)
	}
	return nil
}

// settle waits for nothing in a server: no other process caches keys. A command waits until a server beside it
// has either seen the change or stopped trusting its cache.
func (e *sqliteEngine) settle(done func()) {
	if !e.serve {
		time.Sleep(staleBound)
	}
	done()
}

func (e *sqliteEngine) close() error { return e.file.Close() }

// poll is called every pollInterval while the writer has nothing else to do.
func (e *sqliteEngine) poll(w *writer) error {
	_ = e.discardFailed(w) // if it fails, the next change reports it
	return e.look(w)
}

// look finds out whether another process changed the file since the last look.
func (e *sqliteEngine) look(w *writer) error {
	began := w.now()
	// Changes to a file that is not in its place would go unnoticed.
	err := e.file.Present()
	e.condition.lost.Store(err != nil)
	if err == nil {
		err = e.condition.damaged()
	}
	if err != nil {
		return err
	}
	version, err := readDataVersion(w)
	if err != nil {
		return err
	}
	changed := version != e.dataVersion
	if changed {
		e.dataVersion = version
		w.forget()
	}
	if watcher := w.watcher.Load(); watcher != nil {
		if changed {
			(*watcher).ChangedAll()
		}
		(*watcher).Trust(began.Add(staleBound))
	}
	return nil
}

func readDataVersion(q querier) (version int64, err error) {
	err = first(context.Background(), q, `PRAGMA data_version`).Scan(&version)
	return version, err
}

// inspect refuses a database that cannot be opened as it is, and leaves it untouched.
func inspect(ctx context.Context, path string, schema Schema, serve bool) error {
	m := sqlitefile.ModeRead
	if serve {
		// Only a connection that can write can roll back what a crash left half done.
		m = sqlitefile.ModeRecover
	}
	pool, err := sqlitefile.OpenPool(ctx, path, m)
	if err != nil {
		return err
	}
	return errors.Join(schema.check(ctx, pool, serve), pool.Close())
}
