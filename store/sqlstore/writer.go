package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

const (
	// maxWaiting is how many changes may wait for the writer. At the rate of a slow disk
	// that is a few seconds' worth; more would only wait for their deadline.
	maxWaiting = 4096
	// maxBatch bounds how many changes one transaction makes, so that none waits long for
	// the others.
	maxBatch = 512
)

var (
	errTooBusy = fmt.Errorf("%w: too many changes are waiting", store.ErrUnavailable)
	errClosed  = errors.New("the database is closed")
)

// writer makes all changes, on the one connection that writes. It commits whatever is
// waiting as one transaction: while one reaches the disk, the next gathers. A change is
// answered when its transaction is durable.
type writer struct {
	statements
	conn      *sql.Conn
	files     *files
	condition *condition
	now       func() time.Time

	changes chan *job // first come, first served
	spare   chan *job // what can wait: one with each batch, or when nothing else waits
	stop    chan struct{}
	stopped sync.WaitGroup

	watcher     atomic.Pointer[store.Watcher]
	tally       *tally
	outage      outage
	dataVersion int64 // of the file, as the last poll saw it

	// The keys that acted lately, as they are: most changes are made by a few. Other
	// processes' changes are seen at the start of each transaction, our own drop theirs.
	actors map[apikey.ID]apikey.Key

	chain  string     // of audit events, that this writer makes longer
	head   *chainHead // its end; nil until it is read, and remembered as the actors are
	linked bool       // this transaction moved it
}

// transaction is what a change is made with. It has no context: a caller that gives up
// must not undo what others wait for.
type transaction struct {
	*writer
	changed apikey.ID // the key that differs afterwards; zero for none
	created string    // the owner that has a key more
	action  string    // what the audit log calls it; empty for what it does not hold
}

// job is one change. Its do may run again in another transaction if the first comes to
// nothing. If it refuses, it must do so before it writes.
type job struct {
	transaction
	do    func(*transaction) error
	state atomic.Int32
	done  chan struct{}
	err   error
}

// The states of a job. Its caller may give up only while it waits.
const (
	waiting int32 = iota
	taken
	abandoned
)

func newWriter(ctx context.Context, pool *sql.DB, db *DB, log *slog.Logger) (*writer, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		statements: statements{on: conn}, conn: conn, files: db.files, condition: db.condition, now: db.now,
		changes: make(chan *job, maxWaiting), spare: make(chan *job), stop: make(chan struct{}),
		actors: make(map[apikey.ID]apikey.Key), chain: sharedChain,
		tally: newTally(), outage: outage{log: log},
	}
	if w.dataVersion, err = w.readDataVersion(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *writer) start() { w.stopped.Go(w.run) }

// close ends the writer after what it is doing. What waits is not made.
func (w *writer) close() error {
	close(w.stop)
	w.stopped.Wait()
	return errors.Join(w.statements.close(), w.conn.Close())
}

// change makes one change, durable when it returns without error, and says whether it
// changed a key. If ctx ends while the change waits, it is not made.
func (w *writer) change(ctx context.Context, do func(*transaction) error) (changed bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	j := w.newJob(do)
	select {
	case w.changes <- j:
	default:
		w.tally.tooBusy.Add(1)
		return false, errTooBusy
	}
	err = w.wait(ctx, j)
	return err == nil && !j.changed.IsZero(), err
}

func (w *writer) newJob(do func(*transaction) error) *job {
	return &job{transaction: transaction{writer: w}, do: do, done: make(chan struct{})}
}

// background makes a change that can wait until others are made.
func (w *writer) background(ctx context.Context, do func(*transaction) error) error {
	if err := ctx.Err(); err != nil {
		return err // a writer that is free would take it all the same, every other time
	}
	j := w.newJob(do)
	select {
	case w.spare <- j:
		return w.wait(ctx, j)
	case <-w.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) wait(ctx context.Context, j *job) error {
	ended := func() bool { return j.state.CompareAndSwap(waiting, abandoned) }
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		if ended() {
			return ctx.Err()
		}
	case <-w.stop:
		if ended() {
			return errClosed
		}
	}
	<-j.done // it is being made: whether it was is worth the wait
	return j.err
}

func (w *writer) run() {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		default:
		}
		select {
		case j := <-w.changes:
			w.commit(w.gather([]*job{j}, nil))
		case j := <-w.spare:
			w.commit(w.gather(nil, j))
		case <-tick.C:
			_ = w.poll() // if it fails, what is remembered soon counts no more
		case <-w.stop:
			return
		}
	}
}

// gather adds what is waiting to a batch, and after it at most one job that could wait.
func (w *writer) gather(batch []*job, spare *job) []*job {
	for more := true; more && len(batch) < maxBatch; {
		select {
		case j := <-w.changes:
			batch = append(batch, j)
		default:
			more = false
		}
	}
	if spare == nil {
		select {
		case spare = <-w.spare:
		default:
		}
	}
	if spare != nil {
		batch = append(batch, spare)
	}
	return slices.DeleteFunc(batch, func(j *job) bool { return !j.state.CompareAndSwap(waiting, taken) })
}

// commit makes the changes of a batch and answers their callers. A change that breaks
// their transaction is tried alone, and the others again without it.
func (w *writer) commit(batch []*job) {
	for len(batch) > 0 {
		broken := w.together(batch)
		if broken < 0 || len(batch) == 1 {
			w.answer(batch)
			return
		}
		alone := []*job{batch[broken]}
		w.together(alone)
		w.answer(alone)
		batch = slices.Delete(batch, broken, broken+1)
	}
}

// together makes changes in one transaction. If one of them breaks it, none is made, and
// its place is returned; else a negative number.
func (w *writer) together(batch []*job) (broken int) {
	if err := w.begin(); err != nil {
		return failAll(batch, err)
	}
	for i, j := range batch {
		if j.err = j.try(); j.err != nil && !isRefusal(j.err) {
			// SQLite may have undone everything by itself: nothing more may run in there.
			w.rollback()
			return i
		}
	}
	err := w.count(batch)
	began := time.Now()
	if err == nil {
		err = w.keepHead()
	}
	if err == nil {
		err = w.exec(`COMMIT`)
	}
	if err != nil {
		w.rollback()
		return failAll(batch, w.condition.translate(err))
	}
	w.linked = false
	took := time.Since(began)
	// A file that vanished meanwhile took this commit with it.
	if err := w.files.present(); err != nil {
		w.tally.add(&w.tally.failed)
		return failAll(batch, err)
	}
	w.tally.committed(batch, took)
	return -1
}

// answer tells the watcher which keys changed, then the callers what became of it.
func (w *writer) answer(batch []*job) {
	if watcher := w.watcher.Load(); watcher != nil {
		for _, j := range batch {
			// A commit that failed may have been made all the same.
			if !j.changed.IsZero() {
				(*watcher).Changed(j.changed)
			}
		}
	}
	for _, j := range batch {
		close(j.done)
	}
}

// count keeps the numbers of keys, once for all changes of a transaction.
func (w *writer) count(batch []*job) error {
	more := make(map[string]int)
	for _, j := range batch {
		if j.err == nil && j.created != "" {
			more[j.created]++
			more[everybody]++
		}
	}
	for owner, n := range more {
		err := w.exec(`INSERT INTO key_counts (owner, keys) VALUES ($1, $2)
			ON CONFLICT (owner) DO UPDATE SET keys = key_counts.keys + excluded.keys`, owner, n)
		if err != nil {
			return err
		}
	}
	return nil
}

// everybody stands for all owners in key_counts.
const everybody = ""

func (w *writer) begin() error {
	if err := w.condition.damaged(); err != nil {
		return err // what is written to it may make it worse
	}
	err := w.exec(`BEGIN IMMEDIATE`)
	if err == nil {
		err = w.poll()
	}
	if err != nil {
		w.rollback() // also should one ever have been left open
	}
	return w.condition.translate(err)
}

// rollback undoes a transaction, unless SQLite did already.
func (w *writer) rollback() {
	w.tally.add(&w.tally.failed)
	_ = w.exec(`ROLLBACK`)
	w.forget() // some was read after changes that are no more
}

// forget drops what is remembered of the file.
func (w *writer) forget() {
	clear(w.actors)
	w.head, w.linked = nil, false
}

// failAll gives all changes of a transaction that came to nothing its error. Refusals
// too: what they refused for may be a change that came to nothing with it.
func failAll(batch []*job, err error) int {
	for _, j := range batch {
		j.err = err
	}
	return -1
}

// try makes the change. A panic is an error: it must not take the writer with it.
func (j *job) try() (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic in a change: %v", cause)
		}
	}()
	j.changed, j.created, j.action = apikey.ID{}, "", ""
	return j.condition.translate(j.do(&j.transaction))
}

// isRefusal reports whether an error says no to one change and leaves the transaction
// good for others.
func isRefusal(err error) bool {
	for _, refusal := range []error{
		store.ErrNotFound, store.ErrNameTaken, store.ErrRevoked, store.ErrRotated, store.ErrActorGone,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	_, denied := errors.AsType[*apikey.DeniedError](err)
	return denied
}

func (w *writer) watch(watcher store.Watcher) { w.watcher.Store(&watcher) }
