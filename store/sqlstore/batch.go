package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// commit makes the changes of a batch. A change that breaks their transaction is retried alone, and the
// others without it.
func (w *writer) commit(batch []*job) {
	for retried := false; len(batch) > 0; {
		broken, err := w.together(batch)
		if !retried && w.dialect.repeatable(err) {
			retried = true // no change was at fault, and none was made
			continue
		}
		if broken < 0 || len(batch) == 1 {
			w.finish(batch)
			return
		}
		alone := []*job{batch[broken]}
		_, _ = w.together(alone) // each job has its error
		w.finish(alone)
		batch = slices.Delete(batch, broken, broken+1)
	}
}

// together makes changes in one transaction. If one of them breaks it, none is made, and together returns its
// index, else a negative number. The error is why none is made.
func (w *writer) together(batch []*job) (broken int, err error) {
	if err := w.begin(); err != nil {
		return failAll(batch, err)
	}
	w.rooms.limit()
	for i, j := range batch {
		if j.err = j.try(); w.breaks(j.err) {
			// The database may have rolled back by itself: nothing more may run in this transaction.
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

// breaks reports whether an error of a change leaves the transaction unusable for others. Of the refusals, only
// a taken name is found by a statement that fails.
func (w *writer) breaks(err error) bool {
	return err != nil && (!store.IsRefusal(err) || w.dialect.failureEnds && errors.Is(err, store.ErrNameTaken))
}

// changedBy returns the keys that differ after a transaction.
func changedBy(batch []*job) (changed []apikey.ID) {
	for _, j := range batch {
		if j.err == nil && !j.changed.IsZero() {
			changed = append(changed, j.changed)
		}
	}
	return changed
}

// finish tells the watcher which keys changed, then the callers that their changes are done.
func (w *writer) finish(batch []*job) {
	changed := false
	for _, j := range batch {
		// A commit that failed may have been made nevertheless.
		if j.changed.IsZero() {
			continue
		}
		changed = changed || j.err == nil
		if j.err == nil {
			w.logNotices(j.notices)
		}
		if watcher := w.watcher.Load(); watcher != nil {
			(*watcher).Changed(j.changed)
		}
	}
	done := func() {
		for _, j := range batch {
			close(j.done)
		}
	}
	if !changed {
		done()
		return
	}
	w.engine.settle(done)
}

func (w *writer) begin() error {
	err := w.engine.begin(w)
	if err != nil {
		w.rollback() // in case one was left open
	}
	return w.condition.translate(err)
}

// rollback rolls a transaction back, unless the database already has.
func (w *writer) rollback() {
	w.tally.add(&w.tally.failed)
	_ = w.exec(`ROLLBACK`)
	w.forget() // it may have been read after changes that are gone
}

// forget drops the caches.
func (w *writer) forget() {
	clear(w.actors)
	clear(w.rooms)
	w.head, w.linked = nil, false
}

// failAll gives its error to all changes of a transaction that was rolled back, refused ones too: they may have
// been refused because of a change that is gone.
func failAll(batch []*job, err error) (broken int, _ error) {
	for _, j := range batch {
		j.err = err
	}
	return -1, err
}

// try makes the change. A panic becomes an error: it must not end the writer.
func (j *job) try() (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic in a change: %v", cause)
		}
	}()
	j.changed, j.created, j.action, j.notices = apikey.ID{}, "", "", nil
	return j.condition.translate(j.do(&j.transaction))
}
