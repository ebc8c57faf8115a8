package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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
	runner
	dialect   *dialect
	engine    engine
	poll      func(*writer) error // looks for changes of other processes; nil where none need be looked for
	condition *condition
	now       func() time.Time

	changes chan *job // first come, first served
	spare   chan *job // what can wait: one with each batch, or when nothing else waits
	stop    chan struct{}
	stopped sync.WaitGroup

	watcher atomic.Pointer[store.Watcher]
	tally   *tally
	outage  outage

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

func newWriter(on runner, db *DB, chain string, log *slog.Logger) *writer {
	return &writer{
		runner: on, dialect: db.dialect, engine: db.engine, condition: db.condition, now: db.now,
		changes: make(chan *job, maxWaiting), spare: make(chan *job), stop: make(chan struct{}),
		actors: make(map[apikey.ID]apikey.Key), chain: chain,
		tally: newTally(), outage: outage{log: log},
	}
}

func (w *writer) start() { w.stopped.Go(w.run) }

// close ends the writer after what it is doing. What waits is not made.
func (w *writer) close() error {
	close(w.stop)
	w.stopped.Wait()
	return w.runner.close()
}

// change makes one change. When it returns without error the change is durable, and nobody
// uses what was before. If ctx ends while the change waits, it is not made.
func (w *writer) change(ctx context.Context, do func(*transaction) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := w.newJob(do)
	select {
	case w.changes <- j:
	default:
		w.tally.tooBusy.Add(1)
		return errTooBusy
	}
	return w.wait(ctx, j)
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
	var tick <-chan time.Time
	if w.poll != nil {
		ticker := time.NewTicker(pollInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
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
		case <-tick:
			_ = w.noted(w.poll) // if it fails, what is remembered soon counts no more
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
	for retried := false; len(batch) > 0; {
		broken, err := w.together(batch)
		if !retried && w.dialect.ended(err) {
			retried = true // no change was at fault, and none was made
			continue
		}
		if broken < 0 || len(batch) == 1 {
			w.answer(batch)
			return
		}
		alone := []*job{batch[broken]}
		_, _ = w.together(alone) // each job has its error
		w.answer(alone)
		batch = slices.Delete(batch, broken, broken+1)
	}
}

// together makes changes in one transaction. If one of them breaks it, none is made, and
// its place is returned; else a negative number. The error is why none is made.
func (w *writer) together(batch []*job) (broken int, err error) {
	if err := w.begin(); err != nil {
		return failAll(batch, err)
	}
	for i, j := range batch {
		if j.err = j.try(); w.breaks(j.err) {
			// The database may have undone everything by itself: nothing more may run in there.
			w.rollback()
			return i, j.err
		}
	}
	err = w.count(batch)
	began := time.Now()
	if err == nil {
		err = w.keepHead()
	}
	if err == nil {
		err = w.engine.commit(w, changedBy(batch))
	}
	if err != nil {
		w.rollback()
		err = w.condition.translate(err)
		if errors.Is(err, store.ErrUncertain) {
			w.tally.add(&w.tally.unknown)
		}
		return failAll(batch, err)
	}
	w.linked = false
	took := time.Since(began)
	w.tally.committed(batch, took)
	return -1, nil
}

// breaks reports whether an error of a change leaves the transaction unusable for others. The only refusal that
// a statement makes by failing is that of a name.
func (w *writer) breaks(err error) bool {
	return err != nil && (!store.IsRefusal(err) || w.dialect.failureEnds && errors.Is(err, store.ErrNameTaken))
}

// changedBy are the keys that differ after a transaction.
func changedBy(batch []*job) (changed []apikey.ID) {
	for _, j := range batch {
		if j.err == nil && !j.changed.IsZero() {
			changed = append(changed, j.changed)
		}
	}
	return changed
}

// answer tells the watcher which keys changed, then the callers what became of it.
func (w *writer) answer(batch []*job) {
	changed := false
	for _, j := range batch {
		// A commit that failed may have been made all the same.
		if j.changed.IsZero() {
			continue
		}
		changed = changed || j.err == nil
		if watcher := w.watcher.Load(); watcher != nil {
			(*watcher).Changed(j.changed)
		}
	}
	answered := func() {
		for _, j := range batch {
			close(j.done)
		}
	}
	if !changed {
		answered()
		return
	}
	w.engine.settle(answered)
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
	// In order, so that several writers wait for each other and not in a circle.
	for _, owner := range slices.Sorted(maps.Keys(more)) {
		err := w.exec(`INSERT INTO key_counts (owner, keys) VALUES ($1, $2)
			ON CONFLICT (owner) DO UPDATE SET keys = key_counts.keys + excluded.keys`, owner, more[owner])
		if err != nil {
			return err
		}
	}
	return nil
}

// everybody stands for all owners in key_counts.
const everybody = ""

func (w *writer) begin() error {
	err := w.engine.begin(w)
	if err != nil {
		w.rollback() // also should one ever have been left open
	}
	return w.condition.translate(err)
}

// rollback undoes a transaction, unless the database did already.
func (w *writer) rollback() {
	w.tally.add(&w.tally.failed)
	_ = w.exec(`ROLLBACK`)
	w.forget() // some was read after changes that are no more
}

// forget drops what is remembered of the database.
func (w *writer) forget() {
	clear(w.actors)
	w.head, w.linked = nil, false
}

// failAll gives all changes of a transaction that came to nothing its error. Refusals
// too: what they refused for may be a change that came to nothing with it.
func failAll(batch []*job, err error) (broken int, _ error) {
	for _, j := range batch {
		j.err = err
	}
	return -1, err
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

func (w *writer) watch(watcher store.Watcher) { w.watcher.Store(&watcher) }
