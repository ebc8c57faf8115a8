// Package usage counts verifications in memory: by the minute for owners, and by the hour for keys.
package usage

import (
	"time"

	"apikeyd/apikey"
)

const (
	// MaxKeys limits the keys in a Meter. Each takes at most 0.6 KB.
	MaxKeys = 50_000
	// MaxOwners limits its owners. Each takes at most 1.2 KB.
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
	all    series
	owners table[string]
	keys   table[apikey.ID]
}

// NewMeter returns an empty Meter that starts now.
func NewMeter(now time.Time) *Meter {
	return &Meter{
		since:  now.UTC(),
		owners: table[string]{max: MaxOwners, rows: make(map[string]*series)},
		keys:   table[apikey.ID]{max: MaxKeys, rows: make(map[apikey.ID]*series)},
	}
}

// Add counts decisions about a key.
func (m *Meter) Add(key apikey.ID, owner string, valid, refused uint32, at time.Time) {
	minute, hour := byMinute.number(at), byHour.number(at)
	m.all.add(minute, byMinute, valid, refused)
	m.owners.row(owner).add(minute, byMinute, valid, refused)
	m.keys.row(key).add(hour, byHour, valid, refused)
}

// AddUnknown counts refusals of secrets that no key has.
func (m *Meter) AddUnknown(refused uint32, at time.Time) {
	m.all.add(byMinute.number(at), byMinute, 0, refused)
}

// All returns the last hour of all decisions, by the minute.
func (m *Meter) All(now time.Time) Usage { return m.usage(&m.all, byMinute, now) }

// Owner returns the last hour of an owner's keys, by the minute.
func (m *Meter) Owner(owner string, now time.Time) Usage {
	return m.usage(m.owners.rows[owner], byMinute, now)
}

// Key returns the last day of a key, by the hour.
func (m *Meter) Key(id apikey.ID, now time.Time) Usage { return m.usage(m.keys.rows[id], byHour, now) }

// usage reads a series; a nil one has no counts.
func (m *Meter) usage(s *series, r resolution, now time.Time) Usage {
	u := Usage{Since: m.since, Interval: r.interval, Counts: make([]Count, r.span)}
	first := r.number(now) - r.span + 1
	for i := range u.Counts {
		u.Counts[i].Start = time.UnixMilli((first + int64(i)) * r.interval.Milliseconds()).UTC()
	}
	if s == nil {
		return u
	}
	for _, b := range *s {
		if i := b.number - first; i >= 0 && i < r.span {
			u.Counts[i].Valid, u.Counts[i].Refused = int(b.valid), int(b.refused)
		}
	}
	return u
}
