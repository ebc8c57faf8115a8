package sqlstore

import (
	"database/sql"
	"time"

	"apikeyd/apikey"
)

// dialect is what differs between the databases, as far as data can say it. Everything else is the same, including
// the SQL.
type dialect struct {
	system string // what OpenTelemetry calls this kind of database

	rowLock      string        // ends a query that reads a row in order to change it
	snapshot     sql.TxOptions // makes the queries of a transaction see one state
	mergesExcept bool          // EXCEPT merges its two sides in the order of ids, without sorting them first
	failureEnds  bool          // a statement that fails ends its transaction

	// Locks that end with the transaction, given lockNumber of a key or an owner; empty if there is one writer. A key
	// that acts and its owner are locked against changes, but several writers can hold that lock.
	lockActor, lockChange string

	lookupTimeout time.Duration // bounds a short read; 0 does not
	chain         string        // the chain of audit events that there must be; empty if any may be missing

	translate    func(error) error // turns an error of the driver into one of the store's
	sessionEnded func(error) bool  // whether an error says that the database ended the session; nil for never
	deadlocked   func(error) bool  // whether it says that the transaction was rolled back for another; nil for never
}

// ended reports whether an error says that the database has ended the session.
func (d *dialect) ended(err error) bool { return d.sessionEnded != nil && d.sessionEnded(err) }

// repeatable reports whether an error leaves nothing behind, and another attempt may well succeed.
func (d *dialect) repeatable(err error) bool {
	return d.ended(err) || d.deadlocked != nil && d.deadlocked(err)
}

// retryEnded retries a query, which must be safe to repeat, while it fails because the database
// has ended its session. Each failure closes that connection, so the last attempt has a new one.
func (d *dialect) retryEnded(query func() error) (err error) {
	for range 2 + max(pgPoints, pgLists) {
		if err = query(); !d.ended(err) {
			return err
		}
	}
	return err
}

// engine runs the writer's transactions on one kind of database.
type engine interface {
	// begin begins a transaction, and finds out what others changed before it.
	begin(w *writer) error

	// commit ends it. An error means that nothing was changed, now or after a restart, or
	// wraps store.ErrUncertain.
	commit(w *writer, changed []apikey.ID) error

	// settle calls done once no process uses what it cached before the writer's last
	// transaction. The writer continues meanwhile.
	settle(done func())

	// close is called last.
	close() error
}
