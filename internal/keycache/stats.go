package keycache

import "time"

// Stats tell what a Cache did since it was made, and its state now.
type Stats struct {
	Hits         uint64        // secrets that were remembered, good or refused
	Misses       uint64        // secrets for which the source was asked
	Evicted      uint64        // keys and refused secrets that were removed to make room
	Keys         int           // that are remembered
	Refused      int           // secrets that are remembered to be no key's
	Trusted      bool          // whether what is remembered counts now
	UnsavedUses  int           // keys with a last use that the source does not know yet
	UsesLag      time.Duration // how long ago the first of these was
	FailedWrites uint64        // attempts to write last uses that failed
}

// Stats returns what the Cache did, and its state.
func (c *Cache) Stats() Stats {
	now := c.now()
	s := Stats{
		Evicted: c.evicted.Load(), Keys: int(c.keys.Load()), Refused: int(c.refused.Load()),
		Trusted: c.trusts(now), FailedWrites: c.uses.failed.Load(),
	}
	for i := range c.shards {
		s.Hits += c.shards[i].hits.Load()
		s.Misses += c.shards[i].misses.Load()
	}
	s.UnsavedUses, s.UsesLag = c.uses.waiting(now)
	return s
}

// waiting returns how many uses the source does not know, and for how long.
func (u *uses) waiting(now time.Time) (count int, lag time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if count = len(u.entries) + len(u.pending); count > 0 {
		lag = max(now.Sub(fromMillis(u.oldest)), 0)
	}
	return count, lag
}
