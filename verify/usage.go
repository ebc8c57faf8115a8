package verify

import (
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	"apikeyd/internal/usage"
)

const (
	// refusal is a refusal as an entry counts it: VALID decisions are in the lower half of
	// one number, so that both are read at once.
	refusal = 1 << 32
	// maxCounted is how many entries may have counts before these are metered at once,
	// rather than by Run.
	maxCounted = 10_000
)

// decisions are what a Meter does not know yet: a decision about a remembered key adds one
// to a number in its entry, and no more.
type decisions struct {
	mu      sync.Mutex
	entries []*keycache.Entry // whose number is not zero
	nobody  atomic.Uint32

	metering sync.Mutex // held from taking them to their being metered: who reads sees all
	meter    *usage.Meter
}

// Count counts a decision for somebody else's API in the usage.
func (v *Verifier) Count(r Result) {
	d, e, one := &v.decisions, r.entry, uint64(1)
	if r.Code != Valid {
		one = refusal
	}
	switch {
	case e == nil:
		d.nobody.Add(1)
	case !e.Kept():
		d.metering.Lock()
		defer d.metering.Unlock()
		d.add(e, one, r.At)
	case e.Decided.Add(one) == one: // it was zero
		if d.note(e) >= maxCounted {
			v.meter()
		}
	}
}

// Usage returns how often an owner's keys were verified in the last hour, by the minute; if
// owner is empty everybody's, with what is no key's secret.
func (v *Verifier) Usage(owner string) usage.Usage {
	now := v.meter()
	d := &v.decisions
	d.metering.Lock()
	defer d.metering.Unlock()
	if owner == "" {
		return d.meter.All(now)
	}
	return d.meter.Owner(owner, now)
}

// KeyUsage returns how often a key was verified in the last day, by the hour.
func (v *Verifier) KeyUsage(id apikey.ID) usage.Usage {
	now := v.meter()
	d := &v.decisions
	d.metering.Lock()
	defer d.metering.Unlock()
	return d.meter.Key(id, now)
}

// meter tells the Meter of all decisions, as if they were made now, and returns when that is.
func (v *Verifier) meter() time.Time {
	d := &v.decisions
	d.metering.Lock()
	defer d.metering.Unlock()
	now := v.now()
	for _, e := range d.take() {
		d.add(e, e.Decided.Swap(0), now)
	}
	if n := d.nobody.Swap(0); n > 0 {
		d.meter.AddNobody(n, now)
	}
	return now
}

func (d *decisions) add(e *keycache.Entry, decided uint64, at time.Time) {
	d.meter.Add(e.Key.ID, e.Key.Owner, uint32(decided%refusal), uint32(decided/refusal), at) //nolint:gosec // its halves
}

// note takes an entry in, and returns how many there are.
func (d *decisions) note(e *keycache.Entry) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, e)
	return len(d.entries)
}

// take empties the list.
func (d *decisions) take() []*keycache.Entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	entries := d.entries
	d.entries = nil
	return entries
}
