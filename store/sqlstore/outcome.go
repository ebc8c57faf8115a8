package sqlstore

import (
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"apikeyd/store"
)

// uncertain is the error of a change of which nobody knows whether it was made. The cause
// must not pass for one that says that it was not.
func uncertain(cause error) error {
	return fmt.Errorf("%w: %s", store.ErrUncertain, cause.Error())
}

// When a COMMIT fails on SQLite, the frames that it wrote to the write-ahead log may be
// whole all the same: an fsync that fails takes nothing back. No connection sees them,
// because the index of the log in shared memory does not count them. But once every process
// has closed the file, the next one reads the log itself, and would find the change.
//
// The next transaction writes its frames over them, from the first one on. Each frame's
// checksum covers all frames before it, so once that transaction is durable, nothing of the
// failed one can be recovered. settleLog makes such a transaction. Until one has succeeded the
// outcome is unknown, and no change is made.

const (
	// settleFor is how long the callers of a change wait while its outcome is unknown.
	settleFor = time.Second
	// settlePause is between two attempts to find out.
	settlePause = 50 * time.Millisecond
)

// afterFailedCommit returns what an error of COMMIT means: that nothing was changed, or
// store.ErrUncertain.
func (e *sqliteEngine) afterFailedCommit(w *writer, cause error) error {
	if cameShort(cause) {
		return cause
	}
	_ = e.condition.translate(cause) // should it be damage
	began := time.Now()
	e.unsettled = began
	for {
		err := e.settleLog(w)
		if err == nil {
			return fmt.Errorf("%w: %w", store.ErrUnavailable, cause)
		}
		if time.Since(began) >= settleFor {
			w.outage.log.Error("the disk failed while a change was written: whether it was made is not known, and "+
				"no change is made until it is; ending the server now may bring the change back",
				"error", cause, "again", err)
			e.condition.unsettled.Store(true)
			return uncertain(cause)
		}
		time.Sleep(settlePause)
	}
}

// cameShort reports whether an error of COMMIT says that a frame could not be written. The
// last one carries the mark without which a recovery ignores them all, so it is missing.
func cameShort(err error) bool {
	failure, ok := errors.AsType[*sqlite.Error](err)
	return ok && (failure.Code()&0xff == sqlite3.SQLITE_FULL || failure.Code() == sqlite3.SQLITE_IOERR_WRITE)
}

// settleLog makes sure that a COMMIT which failed changed nothing, if there was one.
func (e *sqliteEngine) settleLog(w *writer) error {
	if e.unsettled.IsZero() {
		return nil
	}
	if err := overwrite(w); err != nil {
		return err
	}
	if e.condition.unsettled.Swap(false) {
		w.outage.log.Info("the change whose outcome was unknown was not made; changes are made again",
			"after", time.Since(e.unsettled).Round(time.Millisecond))
	}
	e.unsettled = time.Time{}
	return nil
}

// overwrite makes a transaction that writes to the log and changes nothing. An update to
// the same value would not do: SQLite writes no page for it. The row has a name that no
// owner can have.
func overwrite(w *writer) error {
	for _, statement := range [...]string{
		`BEGIN IMMEDIATE`,
		`INSERT INTO key_counts (owner, keys) VALUES (' overwrite', 0)`,
		`DELETE FROM key_counts WHERE owner = ' overwrite'`,
		`COMMIT`,
	} {
		if err := w.exec(statement); err != nil {
			_ = w.exec(`ROLLBACK`)
			return err
		}
	}
	return nil
}
