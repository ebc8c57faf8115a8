package keycache

import (
	"cmp"
	"context"
	"slices"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/usage"
	"apikeyd/store"
)

// Usage are the counts of consecutive intervals.
type Usage struct {
	Since  time.Time // since when there are counts; what is before is not known
	Counts []store.IntervalCounts
}

// Usage returns the counts of every interval that a query selects, oldest first and without gaps. Hours and days are
// those of the source and what waits to be written, so of all nodes, but of the other nodes at most FlushInterval
// late. Minutes are those of this process.
func (c *Cache) Usage(ctx context.Context, q store.UsageQuery) (u Usage, err error) {
	now, counts := c.now(), make(map[int64]store.Counts)
	add := func(some store.IntervalCounts) {
		at := some.Start.UTC().Truncate(q.Interval).UnixMilli()
		sum := counts[at]
		sum.Add(some.Counts)
		counts[at] = sum
	}
	c.placeUnknown()
	u.Since = c.start.UTC()
	if q.Interval < store.Hour {
		for _, minute := range c.minutes(q.Subject, now) {
			add(minute)
		}
		if first := usage.Since(now); q.From.Before(first) && u.Since.Before(first) {
			u.Since = first
		}
	} else {
		since, err := c.source.UsageSince(ctx, q.Interval)
		if err != nil {
			return u, err
		}
		if !since.IsZero() && since.Before(u.Since) {
			u.Since = since
		}
		if err := c.stored(ctx, q, add); err != nil {
			return u, err
		}
	}
	u.Counts = []store.IntervalCounts{}
	for start := q.From.UTC(); start.Before(q.To); start = start.Add(q.Interval) {
		u.Counts = append(u.Counts, store.IntervalCounts{Start: start, Counts: counts[start.UnixMilli()]})
	}
	return u, nil
}

// minutes returns a subject's minutes of the last hour.
func (c *Cache) minutes(of store.Subject, now time.Time) []store.IntervalCounts {
	u := &c.uses
	u.metering.Lock()
	defer u.metering.Unlock()
	for i := range u.parts {
		p := &u.parts[i]
		p.mu.Lock()
		for j := range p.records {
			u.measure(&p.records[j], now)
		}
		p.mu.Unlock()
	}
	return u.meter.Minutes(of, now)
}

// stored calls add with a subject's counts, stored or not. Some may be outside the query.
func (c *Cache) stored(ctx context.Context, q store.UsageQuery, add func(store.IntervalCounts)) error {
	u := &c.uses
	u.flushing.RLock()
	defer u.flushing.RUnlock()
	found, err := c.source.CountedUses(ctx, q)
	if err != nil {
		return err
	}
	for _, counts := range found {
		add(counts)
	}
	u.unwritten(func(r *record) {
		if (q.Key.IsZero() || r.id == q.Key) && (q.Owner == "" || r.owner == q.Owner) {
			use := r.use()
			add(store.IntervalCounts{Start: use.Hour, Counts: use.Counts})
		}
	})
	return nil
}

// unwritten calls do with every record that the source does not have. The caller holds flushing.
func (u *uses) unwritten(do func(*record)) {
	for i := range u.taken {
		do(&u.taken[i])
	}
	for i := range u.parts {
		p := &u.parts[i]
		p.mu.Lock()
		for j := range p.records {
			do(&p.records[j])
		}
		p.mu.Unlock()
	}
}

// Seen is store.Usage's Seen, with what waits to be written.
func (c *Cache) Seen(ctx context.Context, id apikey.ID, since time.Time) ([]store.Seen, error) {
	u := &c.uses
	u.flushing.RLock()
	defer u.flushing.RUnlock()
	seen, err := c.source.Seen(ctx, id, since)
	if err != nil {
		return nil, err
	}
	see := func(kind store.SeenKind, value string, day time.Time) {
		for i := range seen {
			if seen[i].Kind == kind && seen[i].Value == value {
				seen[i].Last = day // today is never before
				return
			}
		}
		seen = append(seen, store.Seen{Kind: kind, Value: value, Last: day})
	}
	u.unwritten(func(r *record) {
		if r.id != id {
			return
		}
		use := r.use()
		day := use.Hour.Truncate(store.Day)
		if day.Before(since.UTC().Truncate(store.Day)) {
			return
		}
		for _, scope := range use.Scopes {
			see(store.SeenScope, scope, day)
		}
		for _, network := range use.Networks {
			see(store.SeenNetwork, network.String(), day)
		}
		if use.MoreNetworks {
			see(store.SeenMoreNetworks, "", day)
		}
	})
	slices.SortFunc(seen, func(a, b store.Seen) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	return seen, nil
}
