// Package usage keeps how often keys were verified, by the minute for their owners and by
// the hour for each of them, in memory.
package usage

import (
	"time"

	"apikeyd/apikey"
)

const (
	// MaxKeys is how many keys a Meter knows. Each takes 0.6 KB at most.
	MaxKeys = 50_000
	// MaxOwners is how many owners it knows. Each takes 1.2 KB at most.
	MaxOwners = 10_000
)

// The two resolutions.
var (
	byMinute = resolution{interval: time.Minute, span: 60}
	byHour   = resolution{interval: time.Hour, span: 24}
)

// resolution is how long the intervals of a series are, and how many of them it has.
type resolution struct {
	interval time.Duration
	span     int64
}

// number is which interval since 1970 a time lies in.
func (r resolution) number(at time.Time) int64 { return at.UnixMilli() / r.interval.Milliseconds() }

// Usage is how often something was done in intervals that follow each other.
type Usage struct {
	Since    time.Time // when counting began
	Interval time.Duration
	Counts   []Count // oldest first, without gaps; the last one is not over yet
}

// Count is how often it was done in one interval.
type Count struct {
	Start          time.Time
	Valid, Refused int
}

// Meter counts. When it knows as many keys or owners as it may, it forgets for each new one
// that of a few whose last count is longest ago. It is not safe for concurrent use.
type Meter struct {
	since  time.Time
	all    series
	owners table[string]
	keys   table[apikey.ID]
}

// NewMeter returns a Meter that counts from now on.
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

// AddNobody counts refusals of what is no key's secret.
func (m *Meter) AddNobody(refused uint32, at time.Time) {
	m.all.add(byMinute.number(at), byMinute, 0, refused)
}

// All returns the last hour, by the minute.
func (m *Meter) All(now time.Time) Usage { return m.usage(&m.all, byMinute, now) }

// Owner returns the last hour of an owner's keys, by the minute.
func (m *Meter) Owner(owner string, now time.Time) Usage {
	return m.usage(m.owners.rows[owner], byMinute, now)
}

// Key returns the last day of a key, by the hour.
func (m *Meter) Key(id apikey.ID, now time.Time) Usage { return m.usage(m.keys.rows[id], byHour, now) }

// usage reads a series, or nil, which has no counts.
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
