package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"apikeyd/store/dbname"
)

// The reasons for which Move gives up, beside those of Open. A target that it refuses is
// left as it is.
var (
	ErrSame        = errors.New("the database cannot be moved into itself")
	ErrUnfinished  = errors.New("apikeyd migrate-store into this database is not finished; run it again to its end")
	ErrTargetTaken = errors.New("it holds a database already, and not the one that is moved")
	ErrOtherSource = errors.New("the move into it was begun from another database, or from this one before it changed")
	ErrChanged     = errors.New("the database that is moved changed meanwhile")
	ErrDiffers     = errors.New("what arrived is not what is in the source")
)

// MoveOptions says what is moved.
type MoveOptions struct {
	From, To string // files or URLs of PostgreSQL
	// Progress hears how many rows of all were copied, and then how many were checked.
	Progress func(checking bool, done, total int64)
}

// Moved is what a move brought.
type Moved struct {
	Keys, Uses, Events int64
	Found              int64  // rows that were there already, from an earlier run
	Complete           bool   // all was there already: nothing was written
	Checksum           string // of all rows; the same on both sides
}

// stepTimeout bounds what either side may take for a few rows: a connection that leads
// nowhere says nothing.
const stepTimeout = time.Minute

// Move copies a whole database into an empty one, of either kind. The source is only read,
// and must not change meanwhile. After an interruption of any sort, Move again goes on
// where it was; until it has come to its end, nobody else opens the target.
//
// A table in the target, there from before the first row until after the last check, tells
// which source is moved into it. The source is known by its chains of audit events: every
// change moves their heads.
func Move(ctx context.Context, o MoveOptions) (_ Moved, err error) {
	if err := errors.Join(dbname.CheckOpen(o.From), dbname.CheckOpen(o.To)); err != nil {
		return Moved{}, err
	}
	if isSame(o.From, o.To) {
		return Moved{}, ErrSame
	}
	from, err := openMoveSource(ctx, o.From)
	if err != nil {
		return Moved{}, fmt.Errorf("database %s: %w", dbname.Show(o.From), err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := openMoveTarget(ctx, o.To)
	if err != nil {
		return Moved{}, fmt.Errorf("database %s: %w", dbname.Show(o.To), err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	m := &move{from: from, to: to, progress: o.Progress}
	err = m.run(ctx)
	return m.result, err
}

// move is one run of Move.
type move struct {
	from, to *moveEnd
	progress func(checking bool, done, total int64)
	state    string // of the source, when the run began
	done     int64  // rows
	total    int64
	result   Moved
}

func (m *move) run(ctx context.Context) (err error) {
	if m.state, err = m.from.chains(ctx); err != nil {
		return m.from.failed(ctx, "reading", err)
	}
	if m.total, err = m.from.rows(ctx, m.from.pool); err != nil {
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
	return m.to.Present()
}

// compareTaken finds that a database is what this move makes, or refuses it.
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

// begin makes an empty target ours, or finds that it is.
func (m *move) begin(ctx context.Context) error {
	if !m.to.unfinished {
		// Before all else: what is half made must say so.
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
	if err := m.to.migrate(ctx, m.to.pool); err != nil {
		return err
	}
	found, err := m.to.rows(ctx, m.to.pool)
	m.done, m.result.Found = found, found
	return err
}

// lock keeps any other move into the target waiting until the transaction ends, and makes
// sure that the target is still for our source.
func (m *move) lock(ctx context.Context, tx *sql.Tx) error {
	var source string
	err := tx.QueryRowContext(ctx, `SELECT source FROM apikeyd_move`+m.to.rowLock()).Scan(&source)
	if err == nil && source != m.state {
		return moveError{fmt.Errorf("database %s: %w", m.to.name, ErrOtherSource)}
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

// finish writes what makes the rows a database, and checks it all, in one transaction:
// either the target is whole and sound, or it says that it is not finished.
func (m *move) finish(ctx context.Context) error {
	err := m.to.transaction(ctx, func(tx *sql.Tx) error {
		if err := m.lock(ctx, tx); err != nil {
			return err
		}
		if err := m.copyMarks(ctx, tx); err != nil {
			return err
		}
		for _, statement := range recount {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
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

// compare holds all rows of both sides against each other.
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
		return moveError{errors.Join(m.from.failed(ctx, "reading", err), ErrChanged)}
	}
	if differs := here.sum.difference(there); differs != "" {
		return moveError{fmt.Errorf("%w: %s", ErrDiffers, differs)}
	}
	r := &m.result
	r.Keys, r.Uses, r.Events = there.rows[keyTable.name], there.rows[useTable.name], there.rows[eventTable.name]
	r.Checksum = there.text()
	return nil
}
