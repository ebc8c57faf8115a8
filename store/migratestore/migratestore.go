// Package migratestore copies a whole database into an empty one, of either kind, and checks that all arrived.
package migratestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"apikeyd/store/dbname"
	"apikeyd/store/sqlstore"
)

// The reasons for which Move gives up, beside those of the store and of sqlstore. A target that it refuses is
// left as it is.
var (
	ErrSame        = errors.New("the database cannot be moved into itself")
	ErrTargetTaken = errors.New("it already holds another database")
	ErrOtherSource = errors.New("the move into it was started from another database, or the source has changed since")
	ErrChanged     = errors.New("the source changed during the move")
	ErrDiffers     = errors.New("the target does not match the source")
)

// Options says what to move.
type Options struct {
	From, To string // files or URLs of PostgreSQL
	// Progress hears how many rows of all were copied, and then how many were checked.
	Progress func(checking bool, done, total int64)
}

// Result is what a move did.
type Result struct {
	Keys, Uses, Events int64
	Found              int64  // rows that were there already, from an earlier run
	Complete           bool   // everything was there already, and nothing was written
	Checksum           string // of all rows; the same on both sides
}

// stepTimeout bounds what either side may take for a few rows: a dead connection reports nothing.
const stepTimeout = time.Minute

// Move copies a whole database into an empty one. The source is only read, and must not change meanwhile. After
// any interruption, another Move continues; until one has finished, nobody else opens the target.
//
// A table in the target, which exists from before the first row until after the last check, says which source
// is moved into it. The source is identified by its chains of audit events: every change moves their heads.
func Move(ctx context.Context, o Options) (_ Result, err error) {
	if err := errors.Join(dbname.CheckOpen(o.From), dbname.CheckOpen(o.To)); err != nil {
		return Result{}, err
	}
	if isSame(o.From, o.To) {
		return Result{}, ErrSame
	}
	from, err := open(ctx, o.From, false)
	if err != nil {
		return Result{}, fmt.Errorf("database %s: %w", dbname.Show(o.From), err)
	}
	defer func() { err = errors.Join(err, from.close()) }()
	to, err := open(ctx, o.To, true)
	if err != nil {
		return Result{}, fmt.Errorf("database %s: %w", dbname.Show(o.To), err)
	}
	defer func() { err = errors.Join(err, to.close()) }()
	m := &move{from: from, to: to, progress: o.Progress}
	err = m.run(ctx)
	return m.result, err
}

// move is one run of Move.
type move struct {
	from, to *end
	progress func(checking bool, done, total int64)
	state    string // of the source, when the run began
	done     int64  // rows
	total    int64
	result   Result
}

func (m *move) run(ctx context.Context) (err error) {
	if m.state, err = m.from.chains(ctx); err != nil {
		return m.from.failed(ctx, "reading", err)
	}
	if m.total, err = m.from.rows(ctx); err != nil {
		return m.from.failed(ctx, "reading", err)
	}
	if m.to.taken {
		return m.compareTaken(ctx)
	}
	if err := m.begin(ctx); err != nil {
		return m.to.failed(ctx, "preparing", err)
	}
	for _, t := range bulk {
		for more := true; more; {
			if more, err = m.copySome(ctx, t); err != nil {
				return err
			}
		}
	}
	if err := m.finish(ctx); err != nil {
		return err
	}
	return m.to.present()
}

// compareTaken refuses a database unless it is what this move would make.
func (m *move) compareTaken(ctx context.Context) error {
	state, err := m.to.chains(ctx)
	if err != nil {
		return m.to.failed(ctx, "reading", err)
	}
	if state != m.state {
		return fmt.Errorf("database %s: %w", m.to.name, ErrTargetTaken)
	}
	m.result.Complete, m.result.Found = true, m.total
	return m.compare(ctx, m.to.pool)
}

// begin marks an empty target as ours, or finds that it is marked.
func (m *move) begin(ctx context.Context) error {
	if !m.to.unfinished {
		// First of all: a half-made database must say so.
		err := m.to.transaction(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, `CREATE TABLE apikeyd_move (source TEXT NOT NULL)`); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO apikeyd_move (source) VALUES ($1)`, m.state)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := m.to.transaction(ctx, func(tx *sql.Tx) error { return m.lock(ctx, tx) }); err != nil {
		return err
	}
	if err := m.to.migrate(ctx); err != nil {
		return err
	}
	found, err := m.to.rows(ctx)
	m.done, m.result.Found = found, found
	return err
}

// lock makes any other move into the target wait until the transaction ends, and checks that the target is
// still meant for our source.
func (m *move) lock(ctx context.Context, tx *sql.Tx) error {
	var source string
	err := tx.QueryRowContext(ctx, `SELECT source FROM apikeyd_move`+m.to.rowLock).Scan(&source)
	if err == nil && source != m.state {
		return locatedError{fmt.Errorf("database %s: %w", m.to.name, ErrOtherSource)}
	}
	return err
}

// copySome copies the rows that come after the last one which the target has, and reports
// whether there were any.
func (m *move) copySome(ctx context.Context, t table) (more bool, err error) {
	step, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	var rows [][]any
	err = m.to.transaction(step, func(tx *sql.Tx) error {
		if err := m.lock(step, tx); err != nil {
			return err
		}
		last, err := t.last(step, tx)
		if err != nil {
			return err
		}
		if rows, err = t.after(step, m.from.pool, last); err != nil {
			return m.from.failed(ctx, "reading "+t.name, err)
		}
		return t.insert(step, tx, rows)
	})
	if err != nil {
		return false, m.to.failed(ctx, "writing "+t.name, err)
	}
	m.done += int64(len(rows))
	m.progress(false, m.done, m.total)
	return len(rows) > 0, nil
}

// finish writes what makes the rows a database, and checks everything, in one transaction: either the target is
// complete and sound, or it says that it is not finished.
func (m *move) finish(ctx context.Context) error {
	err := m.to.transaction(ctx, func(tx *sql.Tx) error {
		if err := m.lock(ctx, tx); err != nil {
			return err
		}
		if err := m.copyMarks(ctx, tx); err != nil {
			return err
		}
		if err := sqlstore.RecountIn(ctx, tx); err != nil {
			return err
		}
		if err := m.compare(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DROP TABLE apikeyd_move`)
		return err
	})
	return m.to.failed(ctx, "finishing", err)
}

// copyMarks copies the anchors and the heads of the chains.
func (m *move) copyMarks(ctx context.Context, tx *sql.Tx) error {
	anchors, err := anchorTable.all(ctx, m.from.pool)
	if err != nil {
		return m.from.failed(ctx, "reading "+anchorTable.name, err)
	}
	for _, anchor := range anchors {
		if err := insertAnchor(ctx, tx, anchor); err != nil {
			return err
		}
	}
	heads, err := headTable.all(ctx, m.from.pool)
	if err != nil {
		return m.from.failed(ctx, "reading "+headTable.name, err)
	}
	return headTable.insert(ctx, tx, heads)
}

// compare compares all rows of both sides.
func (m *move) compare(ctx context.Context, target querier) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type summed struct {
		sum checksum
		err error
	}
	source := make(chan summed, 1)
	go func() {
		sum, err := sumOf(ctx, m.from.pool, everything, func(int64) {})
		source <- summed{sum, err}
	}()
	there, err := sumOf(ctx, target, everything, func(done int64) { m.progress(true, done, m.total) })
	if err != nil {
		cancel()
		<-source
		return err
	}
	here := <-source
	if here.err != nil {
		return m.from.failed(ctx, "reading", here.err)
	}
	if state, err := m.from.chains(ctx); err != nil || state != m.state {
		return locatedError{errors.Join(m.from.failed(ctx, "reading", err), ErrChanged)}
	}
	if differs := here.sum.difference(there); differs != "" {
		return locatedError{fmt.Errorf("%w: %s", ErrDiffers, differs)}
	}
	r := &m.result
	r.Keys, r.Uses, r.Events = there.rows[keyTable.name], there.rows[useTable.name], there.rows[eventTable.name]
	r.Checksum = there.text()
	return nil
}
