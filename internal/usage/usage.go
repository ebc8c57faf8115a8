// Package usage counts verifications of the last hour in memory, by the minute.
package usage

import (
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

const (
	// MaxKeys limits the keys in a Meter. Each takes at most 3 KB.
	MaxKeys = 5_000
	// MaxOwners limits its owners. Each takes as much.
	MaxOwners = 10_000
	// span is how many minutes a Meter keeps.
	span = 60
)

// Counts are how many verifications had each of store.Outcomes.
type Counts [len(store.Outcomes)]uint32

// Meter counts decisions. At its maximum of keys or owners, each new one evicts another: of a few
// random ones, that whose last count is oldest. It is not safe for concurrent use.
type Meter struct {
	all    table[struct{}]
	owners table[string]
	keys   table[apikey.ID]
}

// NewMeter returns an empty Meter.
func NewMeter() *Meter {
	return &Meter{newTable[struct{}](1), newTable[string](MaxOwners), newTable[apikey.ID](MaxKeys)}
}

// Add counts decisions about a key, or about secrets that no key has if its id is zero.
func (m *Meter) Add(key apikey.ID, owner string, counts Counts, at time.Time) {
	minute := number(at)
	m.all.add(struct{}{}, minute, counts)
	if !key.IsZero() {
		m.owners.add(owner, minute, counts)
		m.keys.add(key, minute, counts)
	}
}

// number returns the number, since 1970, of the minute that holds a time.
func number(at time.Time) int64 { return at.UnixMilli() / time.Minute.Milliseconds() }

// Since returns the start of the first minute that a Meter keeps.
func Since(now time.Time) time.Time {
	return now.UTC().Truncate(time.Minute).Add(-(span - 1) * time.Minute)
}

// Minutes returns the minutes of the last hour that have counts, in no order.
func (m *Meter) Minutes(of store.Subject, now time.Time) []store.IntervalCounts {
	switch {
	case !of.Key.IsZero():
		return m.keys.minutes(of.Key, now)
	case of.Owner != "":
		return m.owners.minutes(of.Owner, now)
	}
	return m.all.minutes(struct{}{}, now)
}

func (t *table[K]) minutes(k K, now time.Time) (all []store.IntervalCounts) {
	first := number(Since(now))
	for at := t.rows[k]; at != 0; at = t.buckets[at].older {
		b := t.buckets[at]
		if b.number < first || b.number >= first+span {
			continue
		}
		minute := store.IntervalCounts{Start: time.UnixMilli(b.number * time.Minute.Milliseconds()).UTC()}
		for i, n := range b.counts {
			minute.Counts[i] = int64(n)
		}
		all = append(all, minute)
	}
	return all
}
