package usage

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

var start = time.Date(2026, 11, 23, 12, 30, 15, 0, time.UTC)

// want expects the counts of a subject's minutes, by how many minutes ago.
func want(t *testing.T, what string, m *Meter, of store.Subject, now time.Time, want map[int]store.Counts) {
	t.Helper()
	got := map[int]store.Counts{}
	for _, c := range m.Minutes(of, now) {
		got[int(now.Truncate(time.Minute).Sub(c.Start).Minutes())] = c.Counts
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: the counts, by their age, differ (-want +got):\n%s", what, diff)
	}
}

func owner(name string) store.Subject { return store.Subject{Owner: name} }

func TestCounting(t *testing.T) {
	t.Parallel()
	m := NewMeter()
	ci, web, other := apikey.NewID(), apikey.NewID(), apikey.NewID()
	m.Add(ci, "acme", Counts{1}, start)
	m.Add(ci, "acme", Counts{2, 0, 3}, start.Add(44*time.Second)) // 12:30:59
	m.Add(web, "acme", Counts{4}, start.Add(45*time.Second))
	m.Add(other, "other", Counts{0, 0, 0, 5}, start.Add(10*time.Minute))
	m.Add(apikey.ID{}, "", Counts{0, 6}, start.Add(10*time.Minute))
	m.Add(ci, "acme", Counts{7}, start.Add(30*time.Minute)) // 13:00

	now := start.Add(30 * time.Minute)
	want(t, "all", m, store.Subject{}, now, map[int]store.Counts{30: {3, 0, 3}, 29: {4}, 20: {0, 6, 0, 5}, 0: {7}})
	want(t, "acme", m, owner("acme"), now, map[int]store.Counts{30: {3, 0, 3}, 29: {4}, 0: {7}})
	want(t, "other", m, owner("other"), now, map[int]store.Counts{20: {0, 0, 0, 5}})
	want(t, "nobody", m, owner("nobody"), now, map[int]store.Counts{})
	want(t, "ci", m, store.Subject{Key: ci}, now, map[int]store.Counts{30: {3, 0, 3}, 0: {7}})
	want(t, "web", m, store.Subject{Key: web}, now, map[int]store.Counts{29: {4}})

	// Old counts disappear, with or without new ones.
	now = start.Add(59*time.Minute + 44*time.Second)
	want(t, "acme, an hour later", m, owner("acme"), now, map[int]store.Counts{59: {3, 0, 3}, 58: {4}, 29: {7}})
	now = now.Add(time.Second)
	want(t, "acme, a second later", m, owner("acme"), now, map[int]store.Counts{59: {4}, 30: {7}})
	m.Add(ci, "acme", Counts{1, 0, 1}, now.Add(24*time.Hour))
	want(t, "ci, a day later", m, store.Subject{Key: ci}, now.Add(24*time.Hour), map[int]store.Counts{0: {1, 0, 1}})
}

// The size of a series is bounded.
func TestBoundOfASeries(t *testing.T) {
	t.Parallel()
	m := NewMeter()
	id := apikey.NewID()
	for i := range 10_000 {
		m.Add(id, "acme", Counts{1}, start.Add(time.Duration(i)*time.Minute))
	}
	if all, owners, keys := len(m.all.buckets), len(m.owners.buckets), len(m.keys.buckets); max(all, owners, keys) > 62 {
		t.Errorf("%d, %d and %d buckets for one series each", all, owners, keys)
	}
}

func TestBoundOfKeysAndOwners(t *testing.T) {
	t.Parallel()
	m := NewMeter()
	m.keys.max, m.owners.max = 100, 50
	busy := apikey.NewID()
	for i := range 1000 {
		at := start.Add(time.Duration(i) * time.Minute)
		m.Add(busy, "busy", Counts{1}, at)
		m.Add(apikey.NewID(), fmt.Sprint("owner ", i), Counts{1}, at)
	}
	if len(m.keys.rows) != 100 || len(m.owners.rows) != 50 {
		t.Errorf("%d keys and %d owners are known, want 100 and 50", len(m.keys.rows), len(m.owners.rows))
	}
	if n := len(m.keys.buckets); n > 60+99+2 { // all others have one count each
		t.Errorf("%d buckets", n)
	}
	now := start.Add(999 * time.Minute)
	for _, of := range []store.Subject{{Key: busy}, {Owner: "busy"}} {
		if n := len(m.Minutes(of, now)); n != 60 {
			t.Errorf("of the last 60 minutes of %+v, which is used all the time, %d are known", of, n)
		}
	}
}

// Setting the clock back hides nothing: counts from the future count now.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	m := NewMeter()
	id := apikey.NewID()
	m.Add(id, "acme", Counts{1}, start)
	m.Add(id, "acme", Counts{2, 1}, start.Add(2*time.Minute))
	m.Add(id, "acme", Counts{4}, start.Add(3*time.Minute))
	now := start.Add(time.Minute)
	m.Add(id, "acme", Counts{8}, now)
	want(t, "key", m, store.Subject{Key: id}, now, map[int]store.Counts{1: {1}, 0: {14, 1}})
}
