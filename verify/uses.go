package verify

import (
	"context"
	"sync"
	"time"

	"apikeyd/apikey"
)

const (
	// FlushInterval is how late a last-used time may reach the store.
	FlushInterval = 10 * time.Second
	// maxOrphans is how many entries may wait for that which nothing else keeps in memory,
	// before they are written earlier.
	maxOrphans = 20_000
)

// uses are the entries whose last use the store does not have yet: verifying a key must
// never cost a write.
type uses struct {
	mu      sync.Mutex
	entries []*entry
	cache   *cache
	many    chan struct{} // tells Run that there are maxOrphans
}

// record notes a use of a key.
func (u *uses) record(e *entry, at time.Time) {
	ms := at.UnixMilli()
	for last := e.lastUse.Load(); last < ms; last = e.lastUse.Load() {
		if e.lastUse.CompareAndSwap(last, ms) {
			break
		}
	}
	if !e.unsaved.Load() && e.unsaved.CompareAndSwap(false, true) {
		u.add(e)
	}
}

func (u *uses) add(entries ...*entry) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.entries = append(u.entries, entries...)
	if u.cache.orphans.Load() >= maxOrphans {
		select {
		case u.many <- struct{}{}:
		default: // Run knows
		}
	}
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// take empties the set.
func (u *uses) take() []*entry {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.entries
	u.entries = nil
	u.cache.orphans.Store(0)
	return taken
}

// Flush writes the last-used times to the store. Times that could not be written
// are kept for the next Flush.
func (v *Verifier) Flush(ctx context.Context) error {
	entries := v.uses.take()
	last := make(map[apikey.ID]time.Time, len(entries))
	for _, e := range entries {
		e.unsaved.Store(false) // before its time is read, so that no later use is missed
		if at := fromMillis(e.lastUse.Load()); at.After(last[e.key.ID]) {
			last[e.key.ID] = at
		}
	}
	err := v.store.RecordUses(ctx, last)
	if err != nil {
		for _, e := range entries {
			if e.unsaved.CompareAndSwap(false, true) {
				v.uses.add(e)
			}
		}
		return err
	}
	for id, at := range last {
		v.cache.save(id, at)
	}
	return nil
}

// Run flushes every FlushInterval until ctx ends. The caller flushes once more after
// the last verification.
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
		if err := v.Flush(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("last-used times wait: the store cannot be written", "error", err)
			many = nil // it may last: not without a pause
		}
	}
}
