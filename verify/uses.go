package verify

import (
	"context"
	"sync"
	"time"

	"apikeyd/apikey"
)

// FlushInterval is how late a last-used time may reach the store.
const FlushInterval = 10 * time.Second

// uses holds the last-used times that the store does not have yet: reading a key
// must never cost a write. It is bounded by the keys used within a FlushInterval.
type uses struct {
	mu   sync.Mutex
	last map[apikey.ID]time.Time
}

func (u *uses) record(id apikey.ID, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = make(map[apikey.ID]time.Time)
	}
	if at.After(u.last[id]) {
		u.last[id] = at
	}
}

// take empties the set.
func (u *uses) take() map[apikey.ID]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.last
	u.last = nil
	return taken
}

// Flush writes the last-used times to the store. Times that could not be written
// are kept for the next Flush.
func (v *Verifier) Flush(ctx context.Context) error {
	taken := v.uses.take()
	err := v.store.RecordUses(ctx, taken)
	if err != nil {
		for id, at := range taken {
			v.uses.record(id, at)
		}
	}
	return err
}

// Run flushes every FlushInterval until ctx ends. The caller flushes once more after
// the last verification.
func (v *Verifier) Run(ctx context.Context) {
	tick := time.NewTicker(FlushInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := v.Flush(ctx); err != nil && ctx.Err() == nil {
				v.log.Warn("last-used times wait: the store cannot be written", "error", err)
			}
		}
	}
}
