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
	// refusal is one refusal in Entry.Decided: its upper half counts refusals and its lower half Valid
	// decisions, so that one atomic operation reads both.
	refusal = 1 << 32
	// maxCounted is how many entries may have counts before Count meters them without waiting for Run.
	maxCounted = 10_000
)

// decisions collects counts for a Meter. A decision about a cached key only adds to a number in its
// entry.
type decisions struct {
	mu      sync.Mutex
	entries []*keycache.Entry // with a number other than zero
	unknown atomic.Uint32     // refusals of secrets that no key has

	metering sync.Mutex // held from taking counts until they are metered, so that readers see all
	meter    *usage.Meter
}

// Count adds a decision for an integrator's API to the usage.
func (v *Verifier) Count(r Result) {
	d, e, one := &v.decisions, r.entry, uint64(1)
	if r.Code != Valid {
		one = refusal
	}
	switch {
	case e == nil:
		d.unknown.Add(1)
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

// Usage returns how often an owner's keys were verified in the last hour, by the minute. If owner is
// empty it covers all owners, and refusals of secrets that no key has.
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

// meter moves all counts to the Meter, as of now, and returns that time.
func (v *Verifier) meter() time.Time {
	d := &v.decisions
	d.metering.Lock()
	defer d.metering.Unlock()
	now := v.now()
	for _, e := range d.take() {
		d.add(e, e.Decided.Swap(0), now)
	}
	if n := d.unknown.Swap(0); n > 0 {
		d.meter.AddUnknown(n, now)
	}
	return now
}

func (d *decisions) add(e *keycache.Entry, decided uint64, at time.Time) {
	d.meter.Add(e.Key.ID, e.Key.Owner, uint32(decided%refusal), uint32(decided/refusal), at) //nolint:gosec // its halves
}

// note adds an entry, and returns how many there are.
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
