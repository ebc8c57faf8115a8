package keycache

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/usage"
	"apikeyd/store"
)

const (
	// FlushInterval is how late uses may reach the source.
	FlushInterval = 10 * time.Second
	// maxUses is how many records may wait before ManyUses receives.
	maxUses = 100_000
	// keptUses is how many may wait while the source cannot be written. They take about 60 MB. What happens to
	// further keys is lost.
	keptUses = 250_000
	// maxNetworks is how many networks of a key may wait.
	maxNetworks = 32
)

// uses holds what happened to keys since it was written to the source, in parts with a lock each.
type uses struct {
	parts   [shards]usesPart
	waiting atomic.Int64
	many    chan struct{} // receives when there are maxUses
	failed  atomic.Uint64 // attempts to write
	lost    atomic.Uint64 // uses and counts that were not kept
	unknown atomic.Uint32 // refusals of secrets that no key has, until they get a record

	flushing sync.RWMutex // whoever holds it sees each count once: stored, taken or waiting
	taken    []record     // by Flush, and not written yet

	metering sync.Mutex
	meter    *usage.Meter
}

type usesPart struct {
	mu      sync.Mutex
	places  map[place]int32 // in records
	records []record
	recent  int32 // the record of the last decision, often that of the next: without a look-up, 20 ns less
}

// place is a key and an hour since 1970.
type place struct {
	id   apikey.ID
	hour int32
}

// at returns the record of a place, which it makes if there is none, or nil if there are too many. The caller holds the
// lock.
func (u *uses) at(p *usesPart, at place, owner string, ms int64) *record {
	if int(p.recent) < len(p.records) && p.records[p.recent].place == at {
		return &p.records[p.recent]
	}
	if i, ok := p.places[at]; ok {
		p.recent = i
		return &p.records[i]
	}
	n := u.waiting.Add(1)
	if n > keptUses {
		u.waiting.Add(-1)
		u.lost.Add(1)
		return nil
	}
	if n >= maxUses {
		select {
		case u.many <- struct{}{}:
		default: // already signaled
		}
	}
	p.places[at] = int32(len(p.records)) //nolint:gosec // at most keptUses
	// The owner shares its memory with other texts of the cache.
	p.records = append(p.records, record{place: at, owner: strings.Clone(owner), first: ms})
	return &p.records[len(p.records)-1]
}

// Decision is what Record records of a decision about a key.
type Decision struct {
	At      time.Time
	Used    bool          // it was VALID, so these were used:
	From    netip.Addr    // zero if unknown
	Scopes  apikey.Scopes // that were asked for
	Counted bool          // it counts, with this:
	Outcome int           // an index in store.Outcomes
}

// Record records a decision about a key. Flush writes it to the source.
func (c *Cache) Record(key *apikey.Key, d *Decision) {
	u, ms := &c.uses, d.At.UnixMilli()
	p := &u.parts[shardOf(key.ID)]
	p.mu.Lock()
	defer p.mu.Unlock()
	r := u.at(p, place{key.ID, hourOf(ms)}, key.Owner, ms)
	if r == nil {
		return
	}
	if d.Counted {
		r.counts[d.Outcome]++
	}
	if !d.Used {
		return
	}
	if d.From != r.from && d.From.IsValid() {
		r.addNetwork(store.NetworkOf(d.From))
	}
	if ms >= r.last {
		r.last, r.from = ms, d.From
	}
	for _, scope := range d.Scopes {
		if scope == r.scope || slices.Contains(r.others, scope) {
			continue
		}
		for _, own := range key.Scopes.Exercised(scope) {
			r.addScope(own)
		}
	}
}

// RecordUnknown counts a refusal of a secret that no key has.
func (c *Cache) RecordUnknown() { c.uses.unknown.Add(1) }

// placeUnknown gives refusals of unknown secrets their record.
func (c *Cache) placeUnknown() {
	n := c.uses.unknown.Swap(0)
	if n == 0 {
		return
	}
	p := &c.uses.parts[0]
	p.mu.Lock()
	defer p.mu.Unlock()
	ms := c.now().UnixMilli()
	if r := c.uses.at(p, place{hour: hourOf(ms)}, "", ms); r != nil {
		r.counts[slices.Index(store.Outcomes[:], "NOT_FOUND")] += n
	}
}

// measure gives the Meter what it does not have of a record, as of now.
func (u *uses) measure(r *record, now time.Time) {
	if r.metered == r.counts {
		return
	}
	fresh := r.counts
	for k, n := range r.metered {
		fresh[k] -= n
	}
	r.metered = r.counts
	u.meter.Add(r.id, r.owner, fresh, now)
}

// ManyUses receives when so many uses wait that Flush should be called now.
func (c *Cache) ManyUses() <-chan struct{} { return c.uses.many }

// Flush writes what waits to the source, in the order of its tables, because neighbours share pages. What fails
// waits for the next Flush, unless it may have been written: then it is lost rather than counted twice.
func (c *Cache) Flush(ctx context.Context) error {
	u := &c.uses
	u.flushing.Lock()
	defer u.flushing.Unlock()
	c.placeUnknown()
	u.take(c.now())
	for len(u.taken) > 0 {
		some := make([]store.Use, min(len(u.taken), store.UsesAtOnce))
		for i := range some {
			some[i] = u.taken[i].use()
		}
		if err := c.source.RecordUses(ctx, some); err != nil {
			u.failed.Add(1)
			if errors.Is(err, store.ErrUncertain) {
				u.taken = u.taken[len(some):]
				u.lost.Add(uint64(len(some)))
			}
			u.putBack()
			return err
		}
		for _, use := range some {
			if !use.LastUsedAt.IsZero() {
				c.shard(use.Key).used(use.Key, use.LastUsedAt.UnixMilli(), use.LastUsedFrom)
			}
		}
		u.taken = u.taken[len(some):]
		u.flushing.Unlock() // readers' turn
		u.flushing.Lock()
	}
	u.taken = nil
	return nil
}

// take moves all records to taken.
func (u *uses) take(now time.Time) {
	u.metering.Lock()
	defer u.metering.Unlock()
	before := len(u.taken)
	for i := range u.parts {
		p := &u.parts[i]
		p.mu.Lock()
		for j := range p.records {
			u.measure(&p.records[j], now)
			u.taken = append(u.taken, p.records[j])
		}
		u.waiting.Add(-int64(len(p.records)))
		clear(p.places)
		p.records = nil
		p.mu.Unlock()
	}
	slices.SortFunc(u.taken[before:], func(a, b record) int { return bytes.Compare(a.id[:], b.id[:]) })
}

// putBack makes records wait again that could not be written.
func (u *uses) putBack() {
	for i := range u.taken {
		back := &u.taken[i]
		p := &u.parts[shardOf(back.id)]
		p.mu.Lock()
		if r := u.at(p, back.place, back.owner, back.first); r != nil {
			r.add(back)
		}
		p.mu.Unlock()
	}
	u.taken = nil
}

// lag returns the age of the oldest record that waits.
func (u *uses) lag(now time.Time) (lag time.Duration) {
	for i := range u.parts {
		p := &u.parts[i]
		p.mu.Lock()
		for j := range p.records {
			lag = max(lag, now.Sub(fromMillis(p.records[j].first)))
		}
		p.mu.Unlock()
	}
	return lag
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
