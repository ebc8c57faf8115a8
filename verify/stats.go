package verify

import (
	"time"
)

// Stats tell what a Verifier did since it was made, and how it is now.
type Stats struct {
	Hits         uint64        // decisions about a secret that was remembered, good or refused
	Misses       uint64        // decisions for which the store was asked
	Evicted      uint64        // keys and refused secrets that made room for others
	Keys         int           // that are remembered
	Refused      int           // secrets that are remembered to be no key's
	Trusted      bool          // whether what is remembered counts now
	Limited      int           // keys whose rate limit is being counted
	UnsavedUses  int           // keys with a last use that the store does not know yet
	UsesLag      time.Duration // how long ago the first of these was
	FailedWrites uint64        // attempts to write last uses that failed
}

// Stats returns what the Verifier did, and how it is.
func (v *Verifier) Stats() Stats {
	now := v.now()
	s := Stats{
		Evicted: v.cache.evicted.Load(),
		Keys:    int(v.cache.keys.Load()), Refused: int(v.cache.refused.Load()), Trusted: v.cache.trusts(now),
		Limited: v.limits.Len(), FailedWrites: v.uses.failed.Load(),
	}
	for i := range v.cache.shards {
		s.Hits += v.cache.shards[i].hits.Load()
		s.Misses += v.cache.shards[i].misses.Load()
	}
	s.UnsavedUses, s.UsesLag = v.uses.waiting(now)
	return s
}

// waiting returns how many uses the store does not know, and for how long.
func (u *uses) waiting(now time.Time) (count int, lag time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if count = len(u.entries) + len(u.pending); count > 0 {
		lag = max(now.Sub(fromMillis(u.oldest)), 0)
	}
	return count, lag
}
