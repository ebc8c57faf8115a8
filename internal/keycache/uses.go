package keycache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
)

const (
	// FlushInterval is how late a last use may reach the source.
	FlushInterval = 10 * time.Second
	// maxPending is how many uses of keys that are not cached may wait before ManyUses receives.
	maxPending = 50_000
)

// uses holds the last uses to write to the source. Those of cached keys are in their entries.
type uses struct {
	mu      sync.Mutex
	entries []*Entry
	pending map[apikey.ID]int64 // of other keys, in milliseconds since 1970
	oldest  int64               // time of the oldest use, if there is one
	many    chan struct{}       // receives when there are maxPending
	failed  atomic.Uint64       // attempts to write
}

// record records a use of a key.
func (u *uses) record(e *Entry, at time.Time) {
	ms := at.UnixMilli()
	if !e.kept {
		u.note(e.Key.ID, ms)
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

// note records a use outside entries.
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
		default: // already signaled
		}
	}
}

// date updates oldest before a use is added.
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
		e.unsaved.Store(false) // before lastUse is read, so that no later use is missed
		last[e.Key.ID] = max(last[e.Key.ID], e.lastUse.Load())
	}
	return last
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// Used records a use of a key. Flush writes it to the source.
func (c *Cache) Used(e *Entry, at time.Time) { c.uses.record(e, at) }

// ManyUses receives when so many uses wait that Flush should be called now.
func (c *Cache) ManyUses() <-chan struct{} { return c.uses.many }

// Flush writes the last uses to the source. If that fails they wait for the next Flush.
func (c *Cache) Flush(ctx context.Context) error {
	taken := c.uses.take()
	last := make(map[apikey.ID]time.Time, len(taken))
	for id, ms := range taken {
		last[id] = fromMillis(ms)
	}
	if err := c.source.RecordUses(ctx, last); err != nil {
		c.uses.failed.Add(1)
		for id, ms := range taken {
			c.uses.note(id, ms)
		}
		return err
	}
	for id, ms := range taken {
		c.saved(id, ms)
	}
	return nil
}

// saved records that a use was written. It counts as a change: the key may have been read before it.
func (c *Cache) saved(id apikey.ID, ms int64) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	if e := s.keys[id]; e != nil && ms > max(e.saved.Load(), e.Key.LastUsedAt.UnixMilli()) {
		e.saved.Store(ms)
	}
}
