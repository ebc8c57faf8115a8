package sqlstore

import (
	"fmt"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

// uncertain returns the error of a change whose outcome is unknown. It keeps only the cause's text: errors.Is
// must not find an error in it that says otherwise.
func uncertain(cause error) error {
	return fmt.Errorf("%w: %s", store.ErrUncertain, cause.Error())
}

// When a COMMIT fails on SQLite, the frames that it wrote to the write-ahead log (WAL) may be
// complete all the same: an fsync that fails takes nothing back. No open connection sees them,
// because the WAL index in shared memory does not count them. But once every process has
// closed the file, the next one recovers the index from the WAL itself, and finds the change.
//
// The next transaction writes its own frames over them, beginning with the first. Each frame's
// checksum covers all frames before it, so once that transaction is durable, recovery cannot
// find the failed one any more. discardFailed makes such a transaction. Until it has succeeded the
// outcome is unknown, and no other change is made.

const (
	// discardFor is how long the callers of a failed COMMIT wait for its outcome.
	discardFor = time.Second
	// discardPause is the time between two attempts to find it out.
	discardPause = 50 * time.Millisecond
)

// afterFailedCommit returns what an error of COMMIT means: that nothing was changed, or
// store.ErrUncertain.
func (e *sqliteEngine) afterFailedCommit(w *writer, cause error) error {
	if isIncomplete(cause) {
		return cause
	}
	_ = e.condition.translate(cause) // latches damage
	began := time.Now()
	e.failedAt = began
	for {
		err := e.discardFailed(w)
		if err == nil {
			return fmt.Errorf("%w: %w", store.ErrUnavailable, cause)
		}
		if time.Since(began) >= discardFor {
			w.outage.log.Error("the disk failed during a commit: whether the change was made is unknown; no changes are made "+
				"until the disk works again, and if the server ends before that, the change may come back",
				"error", cause, "retry_error", err)
			e.condition.suspended.Store(true)
			return uncertain(cause)
		}
		time.Sleep(discardPause)
	}
}

// isIncomplete reports whether an error of COMMIT says that a frame could not be written: the
// disk is full, or a quota or a limit is reached. The frame that ends a transaction is written
// last, and without it recovery ignores all others.
func isIncomplete(err error) bool {
	code := sqlitefile.Code(err)
	return code&0xff == sqlite3.SQLITE_FULL || code == sqlite3.SQLITE_IOERR_WRITE
}

// discardFailed makes sure that a COMMIT that failed, if there was one, changed nothing.
func (e *sqliteEngine) discardFailed(w *writer) error {
	if e.failedAt.IsZero() {
		return nil
	}
	if err := e.condition.damaged(); err != nil {
		return err // writing may make the damage worse
	}
	if err := overwrite(w); err != nil {
		return err
	}
	if e.condition.suspended.Swap(false) {
		w.outage.log.Info("the change whose outcome was unknown was not made; changes are made again",
			"after", time.Since(e.failedAt).Round(time.Millisecond))
	}
	e.failedAt = time.Time{}
	return nil
}

// overwrite makes a transaction that writes to the WAL and changes nothing. Setting a value to itself is not
// enough: SQLite writes no page for that. No owner can have this row's name.
func overwrite(w *writer) error {
	for _, statement := range [...]string{
		`BEGIN IMMEDIATE`,
		`INSERT INTO key_counts (owner, chain, keys) VALUES (' overwrite', '', 0)`,
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
