package keycache

import "time"

// Stats are a Cache's counters since it was made, and its state.
type Stats struct {
	Hits         uint64        // lookups of cached secrets, accepted or refused
	Misses       uint64        // lookups that read the source
	Evicted      uint64        // evicted keys and refused secrets
	Keys         int           // cached keys
	Refused      int           // cached refused secrets
	Trusted      bool          // whether cached keys count now
	UnsavedUses  int           // keys with a use or a refusal that was not written yet, for each hour
	UsesLag      time.Duration // age of the oldest of these
	FailedWrites uint64        // failed attempts to write them
	LostUses     uint64        // uses and refusals that will not be written
}

// Stats returns the Cache's counters and its state.
func (c *Cache) Stats() Stats {
	now := c.now()
	s := Stats{
		Evicted: c.evicted.Load(), Keys: int(c.keys.Load()), Refused: int(c.refused.Load()),
		Trusted: c.trusts(now), FailedWrites: c.uses.failed.Load(),
		UnsavedUses: int(c.uses.waiting.Load()), UsesLag: c.uses.lag(now), LostUses: c.uses.lost.Load(),
	}
	for i := range c.shards {
		s.Hits += c.shards[i].hits.Load()
		s.Misses += c.shards[i].misses.Load()
	}
	return s
}
