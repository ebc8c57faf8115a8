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
	// maxUses is how many uses may wait before ManyUses receives.
	maxUses = 100_000
)

// uses holds the last uses to write to the source, in parts with a lock each.
type uses struct {
	parts   [shards]usesPart
	waiting atomic.Int64
	many    chan struct{} // receives when there are maxUses
	failed  atomic.Uint64 // attempts to write
}

type usesPart struct {
	mu     sync.Mutex
	last   map[apikey.ID]int64 // in milliseconds since 1970
	oldest int64               // of these, or earlier
}

// note records a use of a key.
func (u *uses) note(id apikey.ID, ms int64) {
	p := &u.parts[shardOf(id)]
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.last) == 0 || ms < p.oldest {
		p.oldest = ms
	}
	last, waits := p.last[id]
	if waits && ms <= last {
		return
	}
	p.last[id] = ms
	if !waits && u.waiting.Add(1) >= maxUses {
		select {
		case u.many <- struct{}{}:
		default: // already signaled
		}
	}
}

// take empties the set.
func (u *uses) take() map[apikey.ID]time.Time {
	taken := make(map[apikey.ID]time.Time, u.waiting.Load())
	for i := range u.parts {
		p := &u.parts[i]
		p.mu.Lock()
		for id, ms := range p.last {
			taken[id] = fromMillis(ms)
		}
		u.waiting.Add(-int64(len(p.last)))
		clear(p.last)
		p.mu.Unlock()
	}
	return taken
}

// lag returns the age of the oldest use that waits.
func (u *uses) lag(now time.Time) (lag time.Duration) {
	for i := range u.parts {
		p := &u.parts[i]
		p.mu.Lock()
		if len(p.last) > 0 {
			lag = max(lag, now.Sub(fromMillis(p.oldest)))
		}
		p.mu.Unlock()
	}
	return lag
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// Used records a use of a key. Flush writes it to the source.
func (c *Cache) Used(id apikey.ID, at time.Time) { c.uses.note(id, at.UnixMilli()) }

// ManyUses receives when so many uses wait that Flush should be called now.
func (c *Cache) ManyUses() <-chan struct{} { return c.uses.many }

// Flush writes the last uses to the source. If that fails they wait for the next Flush.
func (c *Cache) Flush(ctx context.Context) error {
	taken := c.uses.take()
	if err := c.source.RecordUses(ctx, taken); err != nil {
		c.uses.failed.Add(1)
		for id, at := range taken {
			c.uses.note(id, at.UnixMilli())
		}
		return err
	}
	for id, at := range taken {
		c.shard(id).used(id, at.UnixMilli())
	}
	return nil
}
