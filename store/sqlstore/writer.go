package sqlstore

import (
	"cmp"
	"context"
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
	// maxWaiting bounds the changes that wait for the writer: on a slow disk, a few seconds' worth. More would
	// only wait for their deadline.
	maxWaiting = 4096
	// maxBatch bounds the changes in one transaction, so that none waits long for the others.
	maxBatch = 512
)

var (
	errTooBusy = fmt.Errorf("%w: too many changes are waiting", store.ErrUnavailable)
	errClosed  = errors.New("the database is closed")
)

// writer makes all changes, on the one connection that writes. It commits whatever waits as one batch: while
// that is flushed to disk, the next batch gathers. A caller gets its result when the batch is durable.
type writer struct {
	runner
	dialect   *dialect
	engine    engine
	poll      func(*writer) error // looks for changes by other processes; nil if they are announced
	condition *condition
	now       func() time.Time

	changes chan *job // first come, first served
	spare   chan *job // can wait: one with each batch, or when nothing else waits
	stop    chan struct{}
	stopped sync.WaitGroup

	watcher atomic.Pointer[store.Watcher]
	tally   *tally
	outage  outage

	// A cache of the keys that acted lately, because few keys make most changes. Changes by other processes are
	// seen at the start of each transaction; our own drop the keys that they change.
	actors map[apikey.ID]actor

	rooms          rooms
	defaultMaxKeys int // of owners without a bound of their own, for callers that are no admins; 0 is unlimited

	chain  string     // of audit events, to which this writer appends
	head   *chainHead // its end, cached like the actors; nil until it is read
	linked bool       // this transaction moved it
}

// transaction is what a change is made with. It has no context: a caller that gives up
// must not roll back the changes of others.
type transaction struct {
	*writer
	changed apikey.ID // the key or owner that differs afterwards; zero for none
	created string    // the owner that has a key more
	action  string    // what the audit log calls it; empty if nothing is audited

	notices []store.Event // that it wrote
}

// job is one change. Its do may run again in another transaction if the first is rolled back. If it refuses, it
// must do so before it writes.
type job struct {
	transaction
	owner string // that may get another key; empty for none
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
		actors: make(map[apikey.ID]actor), rooms: make(rooms), chain: chain,
		tally: newTally(), outage: outage{log: log},
	}
}

func (w *writer) start() { w.stopped.Go(w.run) }

// close ends the writer after its current batch. Changes that wait are not made.
func (w *writer) close() {
	close(w.stop)
	w.stopped.Wait()
}

// submit makes one change. When it returns without an error, the change is durable and in force everywhere. If ctx
// ends while the change waits, it is not made.
func (w *writer) submit(ctx context.Context, do func(*transaction) error) error {
	return w.submitFor(ctx, "", do)
}

// submitFor is submit for a change that may add to an owner's keys.
func (w *writer) submitFor(ctx context.Context, owner string, do func(*transaction) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := w.newJob(do)
	j.owner = owner
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
		return err // else an idle writer would still take it every other time
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
	abandon := func() bool { return j.state.CompareAndSwap(waiting, abandoned) }
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		if abandon() {
			return ctx.Err()
		}
	case <-w.stop:
		if abandon() {
			return errClosed
		}
	}
	<-j.done // it is being made: the result is worth the wait
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
			_ = w.noted(w.poll) // if it fails, caches soon lose their trust
		case <-w.stop:
			return
		}
	}
}

// gather adds what waits to a batch, and then at most one job that can wait.
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
	// Nodes lock owners in one order.
	slices.SortStableFunc(batch, func(a, b *job) int { return cmp.Compare(a.owner, b.owner) })
	return slices.DeleteFunc(batch, func(j *job) bool { return !j.state.CompareAndSwap(waiting, taken) })
}

func (w *writer) watch(watcher store.Watcher) { w.watcher.Store(&watcher) }
