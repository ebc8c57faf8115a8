package verify

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/usage"
)

// maxCounted is how many keys may have counts before Count meters them without waiting for Run.
const maxCounted = 10_000

// decisions collects counts for a Meter: that of a key with many decisions is metered once.
type decisions struct {
	mu      sync.Mutex
	counts  map[apikey.ID]decided
	unknown atomic.Uint32 // refusals of secrets that no key has

	metering sync.Mutex // held from taking counts until they are metered, so that readers see all
	meter    *usage.Meter
}

// decided counts decisions about a key.
type decided struct {
	owner          string
	valid, refused uint32
}

// Count adds a decision for an integrator's API to the usage.
func (v *Verifier) Count(r Result) {
	d := &v.decisions
	if r.Key == nil {
		d.unknown.Add(1)
	} else if d.add(r.Key, r.Code == Valid) >= maxCounted {
		v.meter()
	}
}

// add counts a decision, and returns how many keys have counts.
func (d *decisions) add(key *apikey.Key, valid bool) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.counts[key.ID]
	if n.owner == "" {
		n.owner = strings.Clone(key.Owner) // the key shares its texts' memory with others
	}
	if valid {
		n.valid++
	} else {
		n.refused++
	}
	d.counts[key.ID] = n
	return len(d.counts)
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
	for id, n := range d.take() {
		d.meter.Add(id, n.owner, n.valid, n.refused, now)
	}
	if n := d.unknown.Swap(0); n > 0 {
		d.meter.AddUnknown(n, now)
	}
	return now
}

// take returns the counts, and starts new ones.
func (d *decisions) take() map[apikey.ID]decided {
	d.mu.Lock()
	defer d.mu.Unlock()
	counts := d.counts
	d.counts = make(map[apikey.ID]decided)
	return counts
}
