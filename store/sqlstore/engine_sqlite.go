package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

// sqliteEngine is a file, which other processes may write to as well: the command line
// beside the server.
type sqliteEngine struct {
	*sqlitefile.File
	condition   *condition
	serve       bool
	dataVersion int64     // of the file, as the last look saw it; only the writer uses it
	unsettled   time.Time // since when the outcome of a COMMIT is unknown, or zero; only the writer uses it
}

var _ engine = (*sqliteEngine)(nil)

// openSQLite opens a file, all but starting the writer.
func (db *DB) openSQLite(ctx context.Context, o Options) error {
	registerTranslate()
	registerTranslate()
	purpose := sqlitefile.ToRead
	if o.Serve {
		purpose = sqlitefile.ToServe
	}
	db.condition = &condition{driver: sqlitefile.Translate}
	files, err := sqlitefile.Open(o.Path, purpose)
	if err != nil {
		return err
	}
	e := &sqliteEngine{File: files, condition: db.condition, serve: o.Serve}
	db.engine = e
	// Before the writer, which turns whatever file it opens into a WAL database.
	if err := inspect(ctx, e.Path(), o.Serve); err != nil {
		return err
	}
	e.RecordName()
	if links := sqlitefile.Links(e.Path()); links > 0 {
		o.Log.Warn("the database file has other names (hard links): open it under one name only, and remove the others",
			"file", e.Path(), "others", links)
	}
	writing, err := db.openPool(ctx, e.Path(), sqlitefile.ModeWrite)
	if err != nil {
		return err
	}
	if o.Serve {
		if err := migrate(ctx, writing, o.Log); err != nil {
			return err
		}
	}
	conn, err := writing.Conn(ctx)
	if err != nil {
		return err
	}
	db.writer = newWriter(&statements{on: conn, pinned: conn}, db, sharedChain, o.Log)
	if e.dataVersion, err = readDataVersion(db.writer); err != nil {
		return err
	}
	if db.reader, err = db.openPool(ctx, e.Path(), sqlitefile.ModeRead); err != nil {
		return err
	}
	points, err := db.openPool(ctx, e.Path(), sqlitefile.ModeRead)
	if err != nil {
		return err
	}
	db.points = &statements{on: points}
	db.turns = newTurns(sqlitefile.Connections())
	// The reader has read by now, so the WAL file is there.
	return e.Watch(e.Path() + "-wal")
}

// openPool opens a pool that Close closes.
func (db *DB) openPool(ctx context.Context, path string, m sqlitefile.Mode) (*sql.DB, error) {
	pool, err := sqlitefile.OpenPool(ctx, path, m)
	if err == nil {
		db.pools = append(db.pools, pool)
	}
	return pool, err
}

func (e *sqliteEngine) begin(w *writer) error {
	if err := e.condition.damaged(); err != nil {
		return err // what is written to it may make it worse
	}
	if err := e.settleLog(w); err != nil {
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
	// A file that vanished meanwhile has the change, should it come back.
	if err := e.Present(); err != nil {
		return uncertain(err)
	}
	return nil
}

// settle has nothing to wait for where the server made the change itself. A server beside
// us, should there be one, knows of it when what it remembers counts no more.
func (e *sqliteEngine) settle(answered func()) {
	if !e.serve {
		time.Sleep(staleBound)
	}
	answered()
}

// watch has nothing to do: the writer's polls tell the watcher.
func (e *sqliteEngine) watch(store.Watcher) {}

func (e *sqliteEngine) poll(w *writer) error {
	_ = e.settleLog(w) // if it fails, the next change will say so
	return e.look(w)
}

// look sees whether another process changed the file since the last look.
func (e *sqliteEngine) look(w *writer) error {
	began := w.now()
	// A file that is not where it was changes without our hearing of it.
	err := e.Present()
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
	err = q.QueryRowContext(context.Background(), `PRAGMA data_version`).Scan(&version)
	return version, err
}

// rowLock is empty: the file has one writer at a time.
func (e *sqliteEngine) rowLock() string { return "" }

// breaks is false: a statement that fails for a constraint is undone alone. After anything
// else, nobody goes on anyway.
func (e *sqliteEngine) breaks(error) bool { return false }

// sessionEnded is false: a file has no sessions.
func (e *sqliteEngine) sessionEnded(error) bool { return false }

// brief is without end: watching for it costs more than most look-ups take.
func (e *sqliteEngine) brief(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithoutCancel(ctx), func() {}
}

func (e *sqliteEngine) chain() string { return sharedChain }

func (e *sqliteEngine) snapshot() *sql.TxOptions { return &sql.TxOptions{ReadOnly: true} }

func (e *sqliteEngine) mergesExcept() bool { return true }

func (e *sqliteEngine) sizes() (database, log int64) {
	return sqlitefile.Size(e.Path()), sqlitefile.Size(e.Path() + "-wal")
}

func (e *sqliteEngine) system() string { return "sqlite" }

// inspect refuses a database that cannot be opened as it is, and leaves it untouched.
func inspect(ctx context.Context, path string, serve bool) error {
	m := sqlitefile.ModeRead
	if serve {
		// What a crash left half done can only be undone by who may write.
		m = sqlitefile.ModeRecover
	}
	pool, err := sqlitefile.OpenPool(ctx, path, m)
	if err != nil {
		return err
	}
	return errors.Join(checkSchema(ctx, pool, serve), pool.Close())
}
