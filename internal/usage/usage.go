// Package usage counts verifications in memory: by the minute for owners, and by the hour for keys.
package usage

import (
	"time"

	"apikeyd/apikey"
)

const (
	// MaxKeys limits the keys in a Meter. Each takes at most 0.6 KB.
	MaxKeys = 50_000
	// MaxOwners limits its owners. Each takes at most 1.5 KB.
	MaxOwners = 10_000
)

// The two resolutions.
var (
	byMinute = resolution{interval: time.Minute, span: 60}
	byHour   = resolution{interval: time.Hour, span: 24}
)

// resolution is the length and the number of a series' intervals.
type resolution struct {
	interval time.Duration
	span     int64
}

// number returns the number, since 1970, of the interval that holds a time.
func (r resolution) number(at time.Time) int64 { return at.UnixMilli() / r.interval.Milliseconds() }

// Usage is a count of verifications in consecutive intervals.
type Usage struct {
	Since    time.Time // when counting began
	Interval time.Duration
	Counts   []Count // oldest first, without gaps; the last interval is not over yet
}

// Count is the count of one interval.
type Count struct {
	Start          time.Time
	Valid, Refused int
}

// Meter counts decisions. At its maximum of keys or owners, each new one evicts another: of a few
// random ones, that whose last count is oldest. It is not safe for concurrent use.
type Meter struct {
	since  time.Time
	all    table[struct{}]
	owners table[string]
	keys   table[apikey.ID]
}

// NewMeter returns an empty Meter that starts now.
func NewMeter(now time.Time) *Meter {
	return &Meter{
		since: now.UTC(),
		all:   newTable[struct{}](byMinute, 1), owners: newTable[string](byMinute, MaxOwners), keys: newTable[apikey.ID](byHour, MaxKeys),
	}
}

// Add counts decisions about a key.
func (m *Meter) Add(key apikey.ID, owner string, valid, refused uint32, at time.Time) {
	minute, hour := byMinute.number(at), byHour.number(at)
	m.all.add(struct{}{}, minute, valid, refused)
	m.owners.add(owner, minute, valid, refused)
	m.keys.add(key, hour, valid, refused)
}

// AddUnknown counts refusals of secrets that no key has.
func (m *Meter) AddUnknown(refused uint32, at time.Time) {
	m.all.add(struct{}{}, byMinute.number(at), 0, refused)
}

// All returns the last hour of all decisions, by the minute.
func (m *Meter) All(now time.Time) Usage { return m.all.usage(struct{}{}, m.since, now) }

// Owner returns the last hour of an owner's keys, by the minute.
func (m *Meter) Owner(owner string, now time.Time) Usage { return m.owners.usage(owner, m.since, now) }

// Key returns the last day of a key, by the hour.
func (m *Meter) Key(id apikey.ID, now time.Time) Usage { return m.keys.usage(id, m.since, now) }

// usage reads a series; an unknown one has no counts.
func (t *table[K]) usage(k K, since, now time.Time) Usage {
	u := Usage{Since: since, Interval: t.interval, Counts: make([]Count, t.span)}
	first := t.number(now) - t.span + 1
	for i := range u.Counts {
		u.Counts[i].Start = time.UnixMilli((first + int64(i)) * t.interval.Milliseconds()).UTC()
	}
	for at := t.rows[k]; at != 0; at = t.buckets[at].older {
		b := t.buckets[at]
		if i := b.number - first; i >= 0 && i < t.span {
			u.Counts[i].Valid, u.Counts[i].Refused = int(b.valid), int(b.refused)
		}
	}
	return u
}
