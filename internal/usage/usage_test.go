package usage

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

var start = time.Date(2026, 11, 23, 12, 30, 15, 0, time.UTC)

// counts returns the nonzero counts of a usage, by how many intervals ago.
func counts(u Usage) map[int][2]int {
	all := map[int][2]int{}
	for i, c := range u.Counts {
		if c.Valid != 0 || c.Refused != 0 {
			all[len(u.Counts)-1-i] = [2]int{c.Valid, c.Refused}
		}
	}
	return all
}

func want(t *testing.T, what string, u Usage, want map[int][2]int) {
	t.Helper()
	if diff := cmp.Diff(want, counts(u)); diff != "" {
		t.Errorf("%s: the counts, by their age, differ (-want +got):\n%s", what, diff)
	}
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	m := NewMeter(start)
	now := start.Add(time.Hour)
	for name, tt := range map[string]struct {
		usage    Usage
		interval time.Duration
		n        int
		last     time.Time
	}{
		"all":   {m.All(now), time.Minute, 60, time.Date(2026, 11, 23, 13, 30, 0, 0, time.UTC)},
		"owner": {m.Owner("nobody", now), time.Minute, 60, time.Date(2026, 11, 23, 13, 30, 0, 0, time.UTC)},
		"key":   {m.Key(apikey.NewID(), now), time.Hour, 24, time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC)},
	} {
		u := tt.usage
		if !u.Since.Equal(start) || u.Interval != tt.interval || len(u.Counts) != tt.n {
			t.Errorf("%s: since %s, %d intervals of %s", name, u.Since, len(u.Counts), u.Interval)
		}
		for i, c := range u.Counts {
			if at := tt.last.Add(-time.Duration(len(u.Counts)-1-i) * tt.interval); c != (Count{Start: at}) {
				t.Errorf("%s: entry %d is %v, want zeros at %s", name, i, c, at)
			}
		}
	}
}

func TestCounting(t *testing.T) {
	t.Parallel()
	m := NewMeter(start)
	ci, web, other := apikey.NewID(), apikey.NewID(), apikey.NewID()
	m.Add(ci, "acme", 1, 0, start)
	m.Add(ci, "acme", 2, 3, start.Add(44*time.Second)) // 12:30:59
	m.Add(web, "acme", 4, 0, start.Add(45*time.Second))
	m.Add(other, "other", 0, 5, start.Add(10*time.Minute))
	m.AddUnknown(6, start.Add(10*time.Minute))
	m.Add(ci, "acme", 7, 0, start.Add(30*time.Minute)) // 13:00

	now := start.Add(30 * time.Minute)
	want(t, "all", m.All(now), map[int][2]int{30: {3, 3}, 29: {4, 0}, 20: {0, 11}, 0: {7, 0}})
	want(t, "acme", m.Owner("acme", now), map[int][2]int{30: {3, 3}, 29: {4, 0}, 0: {7, 0}})
	want(t, "other", m.Owner("other", now), map[int][2]int{20: {0, 5}})
	want(t, "nobody", m.Owner("", now), map[int][2]int{})
	want(t, "ci", m.Key(ci, now), map[int][2]int{1: {3, 3}, 0: {7, 0}})
	want(t, "web", m.Key(web, now), map[int][2]int{1: {4, 0}})

	// Old counts disappear, with or without new ones.
	now = start.Add(59*time.Minute + 44*time.Second)
	want(t, "acme, an hour later", m.Owner("acme", now), map[int][2]int{59: {3, 3}, 58: {4, 0}, 29: {7, 0}})
	now = now.Add(time.Second)
	want(t, "acme, a second later", m.Owner("acme", now), map[int][2]int{59: {4, 0}, 30: {7, 0}})
	m.Add(ci, "acme", 1, 1, now.Add(24*time.Hour))
	want(t, "ci, a day later", m.Key(ci, now.Add(24*time.Hour)), map[int][2]int{0: {1, 1}})
}

// The size of a series is bounded.
func TestBoundOfASeries(t *testing.T) {
	t.Parallel()
	m := NewMeter(start)
	id := apikey.NewID()
	for i := range 10_000 {
		m.Add(id, "acme", 1, 0, start.Add(time.Duration(i)*time.Minute))
	}
	if all, owners, keys := len(m.all.buckets), len(m.owners.buckets), len(m.keys.buckets); all > 62 || owners > 62 || keys > 26 {
		t.Errorf("%d, %d and %d buckets for one series each", all, owners, keys)
	}
}

func TestBoundOfKeysAndOwners(t *testing.T) {
	t.Parallel()
	m := NewMeter(start)
	m.keys.max, m.owners.max = 100, 50
	busy := apikey.NewID()
	for i := range 1000 {
		at := start.Add(time.Duration(i) * time.Hour)
		m.Add(busy, "busy", 1, 0, at)
		m.Add(apikey.NewID(), fmt.Sprint("owner ", i), 1, 0, at)
	}
	if len(m.keys.rows) != 100 || len(m.owners.rows) != 50 {
		t.Errorf("%d keys and %d owners are known, want 100 and 50", len(m.keys.rows), len(m.owners.rows))
	}
	if n := len(m.keys.buckets); n > 24+99+2 { // all others have one count each
		t.Errorf("%d buckets", n)
	}
	now := start.Add(999 * time.Hour)
	if n := len(counts(m.Key(busy, now))); n != 24 {
		t.Errorf("of the last 24 hours of a key that is used all the time, %d are known", n)
	}
	want(t, "the owner that is used all the time", m.Owner("busy", now), map[int][2]int{0: {1, 0}})
}

// Setting the clock back hides nothing: counts from the future count now.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	m := NewMeter(start)
	id := apikey.NewID()
	m.Add(id, "acme", 1, 0, start)
	m.Add(id, "acme", 2, 1, start.Add(2*time.Hour))
	m.Add(id, "acme", 4, 0, start.Add(3*time.Hour))
	now := start.Add(time.Hour)
	m.Add(id, "acme", 8, 0, now)
	want(t, "key", m.Key(id, now), map[int][2]int{1: {1, 0}, 0: {14, 1}})
	want(t, "all", m.All(now), map[int][2]int{0: {12, 0}}) // of an hour
}
