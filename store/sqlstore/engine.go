package sqlstore

import (
	"context"
	"database/sql"

	"apikeyd/apikey"
	"apikeyd/store"
)

// engine is what each kind of database does in its own way. All else, the SQL too, is the
// same for both.
type engine interface {
	// begin begins a transaction of the writer, having learnt what others changed before.
	begin(w *writer) error

	// commit ends it. An error means that nothing was changed, now or after a restart, or
	// wraps store.ErrUncertain.
	commit(w *writer, changed []apikey.ID) error

	// settle calls answered once no process uses what the writer's last transaction made
	// wrong. The writer goes on meanwhile.
	settle(answered func())

	// watch is told who hears of what others changed.
	watch(watcher store.Watcher)

	// poll is called every pollInterval while the writer has nothing else to do.
	poll(w *writer) error

	// rowLock ends a query that reads a row in order to change it.
	rowLock() string

	// breaks reports whether a statement's error ended the transaction that it came up in.
	breaks(err error) bool

	// sessionEnded reports whether an error says that the database has ended the session.
	sessionEnded(err error) bool

	// Present fails if the database is not the one that was opened.
	Present() error

	// brief is the context of a look-up that takes next to no time, and what ends it.
	brief(ctx context.Context) (context.Context, context.CancelFunc)

	// chain is the chain of audit events that there must be, or empty.
	chain() string

	// snapshot makes the queries of a transaction see one state.
	snapshot() *sql.TxOptions

	// mergesExcept reports whether EXCEPT goes once through what is on either side of it, in
	// the order of ids, and is not done before it begins to answer.
	mergesExcept() bool

	// sizes returns how many bytes the database has, and the log beside it.
	sizes() (database, log int64)

	// system is what OpenTelemetry calls this kind of database.
	system() string

	// Close is called last.
	Close() error
}

// runner runs statements on a pool or a connection.
type runner interface {
	querier
	// exec runs a statement that returns no rows, to its end.
	exec(query string, args ...any) error
	close() error
}
