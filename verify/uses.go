package verify

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
)

const (
	// FlushInterval is how late a last-used time may reach the store.
	FlushInterval = 10 * time.Second
	// maxPending is how many keys that are not remembered may wait for that, before they
	// are written earlier.
	maxPending = 50_000
)

// uses are the last uses that the store does not know yet: verifying a key must never
// cost a write. Those of remembered keys stand in their entries.
type uses struct {
	mu      sync.Mutex
	entries []*entry
	pending map[apikey.ID]int64 // of other keys, in milliseconds since 1970
	oldest  int64               // when the first of all these was, while there are any
	many    chan struct{}       // tells Run that there are maxPending
	failed  atomic.Uint64       // attempts to write them
}

// record notes a use of a key.
func (u *uses) record(e *entry, at time.Time) {
	ms := at.UnixMilli()
	if !e.kept {
		u.note(e.key.ID, ms)
		return
	}
	for last := e.lastUse.Load(); last < ms; last = e.lastUse.Load() {
		if e.lastUse.CompareAndSwap(last, ms) {
			break
		}
	}
	if !e.unsaved.Load() && e.unsaved.CompareAndSwap(false, true) {
		u.mu.Lock()
		u.date(ms)
		u.entries = append(u.entries, e)
		u.mu.Unlock()
	}
}

// note notes a use that no entry remembers.
func (u *uses) note(id apikey.ID, ms int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.pending == nil {
		u.pending = make(map[apikey.ID]int64)
	}
	u.date(ms)
	u.pending[id] = max(u.pending[id], ms)
	if len(u.pending) >= maxPending {
		select {
		case u.many <- struct{}{}:
		default: // Run knows
		}
	}
}

// date notes when a use was that the set does not hold yet.
func (u *uses) date(ms int64) {
	if len(u.entries)+len(u.pending) == 0 || ms < u.oldest {
		u.oldest = ms
	}
}

// take empties the set.
func (u *uses) take() map[apikey.ID]int64 {
	u.mu.Lock()
	entries, last := u.entries, u.pending
	u.entries, u.pending = nil, nil
	u.mu.Unlock()
	if last == nil {
		last = make(map[apikey.ID]int64, len(entries))
	}
	for _, e := range entries {
		e.unsaved.Store(false) // before its time is read, so that no later use is missed
		last[e.key.ID] = max(last[e.key.ID], e.lastUse.Load())
	}
	return last
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// Flush writes the last-used times to the store. Times that could not be written
// are kept for the next Flush.
func (v *Verifier) Flush(ctx context.Context) error {
	taken := v.uses.take()
	last := make(map[apikey.ID]time.Time, len(taken))
	for id, ms := range taken {
		last[id] = fromMillis(ms)
	}
	if err := v.store.RecordUses(ctx, last); err != nil {
		v.uses.failed.Add(1)
		for id, ms := range taken {
			v.uses.note(id, ms)
		}
		return err
	}
	for id, ms := range taken {
		v.cache.save(id, ms)
	}
	return nil
}

// Run flushes, and meters decisions, every FlushInterval until ctx ends. The caller flushes
// once more after the last verification.
func (v *Verifier) Run(ctx context.Context) {
	tick := time.NewTicker(FlushInterval)
	defer tick.Stop()
	many := v.uses.many
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-many:
		}
		many = v.uses.many
		v.meter()
		if err := v.Flush(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("last-used times wait: the store cannot be written", "error", err)
			many = nil // it may last: not without a pause
		}
	}
}
