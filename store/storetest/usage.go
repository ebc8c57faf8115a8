package storetest

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

func (f *fixture) records(uses ...store.Use) {
	f.Helper()
	f.must(f.RecordUses(f.ctx(), uses))
}

// wantCounts expects the counts of a subject's intervals, by their start.
func (f *fixture) wantCounts(what string, q store.UsageQuery, want map[string]store.Counts) {
	f.Helper()
	found, err := f.CountedUses(f.ctx(), q)
	f.must(err)
	got := make(map[string]store.Counts)
	last := time.Time{}
	for _, c := range found {
		got[c.Start.Format("02T15")] = c.Counts
		if !c.Start.After(last) {
			f.Errorf("%s: %s follows %s", what, c.Start, last)
		}
		last = c.Start
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("%s: the counts differ (-want +got):\n%s", what, diff)
	}
}

func testLastUsedFrom(f *fixture) {
	key, at := f.create("acme", "ci"), f.clock.Now().Add(time.Second)
	wantFrom := func(what string, want string) {
		f.Helper()
		if got := f.get(store.ByID(key.ID)); got.LastUsedFrom != want || got.LastUsedAt.IsZero() {
			f.Errorf("%s: last used from %q at %s, want %q", what, got.LastUsedFrom, got.LastUsedAt, want)
		}
	}
	v6 := netip.MustParseAddr("2001:db8::7")
	f.records(store.Use{Key: key.ID, LastUsedAt: at, LastUsedFrom: netip.MustParseAddr("::ffff:203.0.113.7")})
	wantFrom("IPv4", "203.0.113.7")
	f.records(store.Use{Key: key.ID, LastUsedAt: at.Add(-1), LastUsedFrom: v6})
	wantFrom("an earlier use", "203.0.113.7")
	f.records(store.Use{Key: key.ID, LastUsedAt: at.Add(time.Second), LastUsedFrom: v6.WithZone("eth0")},
		store.Use{Key: key.ID, LastUsedAt: at})
	wantFrom("IPv6", "2001:db8::7")
	f.records(store.Use{Key: key.ID, LastUsedAt: at.Add(2 * time.Second)})
	wantFrom("an unknown address", "")
}

func testCountedUses(f *fixture) {
	day := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	hour := func(n int) time.Time { return day.Add(time.Duration(n) * time.Hour) }
	key, other := f.create("acme", "ci"), f.create("acme", "web")
	for _, interval := range []time.Duration{store.Hour, store.Day} {
		if since, err := f.UsageSince(f.ctx(), interval); err != nil || !since.IsZero() {
			f.Errorf("before the first use there are counts since %s, %v", since, err)
		}
	}
	f.records(
		store.Use{Key: key.ID, Owner: "acme", Hour: hour(22), Counts: store.Counts{2, 0, 0, 0, 0, 1}},
		store.Use{Key: key.ID, Owner: "acme", Hour: hour(25), Counts: store.Counts{7}},
		store.Use{Key: other.ID, Owner: "acme", Hour: hour(22), Counts: store.Counts{0, 0, 0, 0, 0, 0, 0, 0, 5}},
		store.Use{Hour: hour(22), Counts: store.Counts{0, 3}},
		store.Use{Key: apikey.NewID(), Owner: "zeta", Hour: hour(23), Counts: store.Counts{1 << 40}})
	f.records(store.Use{Key: key.ID, Owner: "acme", Hour: hour(22), Counts: store.Counts{1, 0, 1}})

	of := func(s store.Subject, from, to int, interval time.Duration) store.UsageQuery {
		return store.UsageQuery{Subject: s, From: hour(from), To: hour(to), Interval: interval}
	}
	f.wantCounts("a key", of(store.Subject{Key: key.ID}, 0, 48, store.Hour), map[string]store.Counts{
		"28T22": {3, 0, 1, 0, 0, 1}, "29T01": {7},
	})
	f.wantCounts("its last hours", of(store.Subject{Key: key.ID}, 23, 25, store.Hour), map[string]store.Counts{})
	f.wantCounts("an owner", of(store.Subject{Owner: "acme"}, 22, 26, store.Hour), map[string]store.Counts{
		"28T22": {3, 0, 1, 0, 0, 1, 0, 0, 5}, "29T01": {7},
	})
	f.wantCounts("all", of(store.Subject{}, 0, 48, store.Hour), map[string]store.Counts{
		"28T22": {3, 3, 1, 0, 0, 1, 0, 0, 5}, "28T23": {1 << 40}, "29T01": {7},
	})
	f.wantCounts("a key by the day", of(store.Subject{Key: key.ID}, -24*300, 24*99, store.Day), map[string]store.Counts{
		"28T00": {3, 0, 1, 0, 0, 1}, "29T00": {7},
	})
	f.wantCounts("nobody", of(store.Subject{Owner: "beta"}, 0, 48, store.Hour), map[string]store.Counts{})
	if since, err := f.UsageSince(f.ctx(), store.Day); err != nil || !since.Equal(hour(22)) {
		f.Errorf("there are counts since %s, %v", since, err)
	}
}

func testCountedAtOnce(f *fixture) {
	hour := f.clock.Now().Truncate(store.Hour)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				var uses []store.Use
				for i := range 5 {
					uses = append(uses, store.Use{
						Key: apikey.ID{1, byte(i)}, Owner: fmt.Sprint("owner ", i%2), Hour: hour, Counts: store.Counts{1, 0, 2},
					})
				}
				f.must(f.RecordUses(f.ctx(), uses))
			}
		})
	}
	all.Wait()
	at := hour.Format("02T15")
	for _, tt := range []struct {
		subject store.Subject
		each    int64
	}{{store.Subject{Key: apikey.ID{1, 4}}, 1}, {store.Subject{Owner: "owner 0"}, 3}, {store.Subject{}, 5}} {
		f.wantCounts("uses of many", store.UsageQuery{Subject: tt.subject, From: hour, To: hour.Add(1), Interval: store.Hour},
			map[string]store.Counts{at: {80 * tt.each, 0, 160 * tt.each}})
	}
}

func testPruneUsage(f *fixture) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	hour := func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
	key := f.create("acme", "ci")
	var uses []store.Use
	for i := range 60 { // and so many rows that one step is not enough
		uses = append(uses, store.Use{Key: key.ID, Owner: "acme", Hour: hour(i), Counts: store.Counts{1, 0, int64(i % 2)}})
		for other := range 6 {
			uses = append(uses, store.Use{Key: apikey.ID{9, byte(other)}, Owner: "many", Hour: hour(i), Counts: store.Counts{1}})
		}
	}
	f.records(uses...)
	prune := func(keep store.Retention) {
		f.Helper()
		if _, err := f.PruneUsage(f.ctx(), keep); err != nil {
			f.Error(err)
		}
	}
	days := func(what string, s store.Subject, want map[string]store.Counts) {
		f.Helper()
		f.wantCounts(what, store.UsageQuery{Subject: s, From: hour(0), To: hour(96), Interval: store.Day}, want)
	}
	of, whole := store.Subject{Key: key.ID}, map[string]store.Counts{"20T00": {24, 0, 12}, "21T00": {24, 0, 12}, "22T00": {12, 0, 6}}
	days("before", of, whole)
	prune(store.Retention{Hours: hour(30)})
	days("after a day's hours", of, whole)
	prune(store.Retention{Hours: hour(30)}) // a call removes at most a day's
	days("after all hours", of, whole)
	days("the owner", store.Subject{Owner: "acme"}, whole)
	days("all", store.Subject{}, map[string]store.Counts{"20T00": {168, 0, 12}, "21T00": {168, 0, 12}, "22T00": {84, 0, 6}})
	found, err := f.CountedUses(f.ctx(), store.UsageQuery{Subject: of, From: hour(0), To: hour(96), Interval: store.Hour})
	if err != nil || len(found) != 30 || !found[0].Start.Equal(hour(30)) {
		f.Errorf("of 60 hours %d are left, %v", len(found), err)
	}
	f.records(store.Use{Key: key.ID, Owner: "acme", Hour: hour(3), Counts: store.Counts{5}}) // late
	prune(store.Retention{Hours: hour(30)})
	days("after a late hour", of, map[string]store.Counts{"20T00": {29, 0, 12}, "21T00": {24, 0, 12}, "22T00": {12, 0, 6}})
	if since, err := f.UsageSince(f.ctx(), store.Day); err != nil || !since.Equal(hour(0)) {
		f.Errorf("there are days since %s, %v", since, err)
	}
	if since, err := f.UsageSince(f.ctx(), store.Hour); err != nil || !since.Equal(hour(30)) {
		f.Errorf("there are hours since %s, %v", since, err)
	}
	prune(store.Retention{Hours: hour(30), Days: hour(48)}) // at most one day
	days("after a day", of, map[string]store.Counts{"21T00": {24, 0, 12}, "22T00": {12, 0, 6}})
	prune(store.Retention{Hours: hour(30), Days: hour(48)})
	days("after both days", of, map[string]store.Counts{"21T00": {18, 0, 9}, "22T00": {12, 0, 6}})
}

// Nodes prune at the same time.
func testPruneUsageAtOnce(f *fixture) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	var uses []store.Use
	for i := range 400 {
		uses = append(uses, store.Use{Key: apikey.ID{1, byte(i)}, Owner: "acme", Hour: start, Counts: store.Counts{1, 0, 1}})
	}
	f.records(uses...)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			_, err := f.PruneUsage(f.ctx(), store.Retention{Hours: start.Add(time.Hour)})
			f.must(err)
		})
	}
	all.Wait()
	_, err := f.PruneUsage(f.ctx(), store.Retention{Hours: start.Add(time.Hour)})
	f.must(err)
	f.wantCounts("the hours", store.UsageQuery{From: start, To: start.Add(1), Interval: store.Hour}, map[string]store.Counts{})
	f.wantCounts("the day", store.UsageQuery{From: start, To: start.Add(1), Interval: store.Day},
		map[string]store.Counts{"20T00": {400, 0, 400}})
}

func testSeen(f *fixture) {
	today := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	key, other := f.create("acme", "ci"), f.create("acme", "web")
	want := func(what string, id apikey.ID, since time.Time, want ...store.Seen) {
		f.Helper()
		got, err := f.Seen(f.ctx(), id, since)
		f.must(err)
		if diff := cmp.Diff(append([]store.Seen{}, want...), got); diff != "" {
			f.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	want("before a use", key.ID, today)
	use := func(id apikey.ID, days int, scopes []string, networks ...string) store.Use {
		u := store.Use{Key: id, LastUsedAt: today.AddDate(0, 0, days).Add(time.Hour), Scopes: scopes}
		for _, n := range networks {
			u.Networks = append(u.Networks, netip.MustParsePrefix(n))
		}
		return u
	}
	f.records(use(key.ID, -2, []string{"b:read", "a:read"}, "203.0.113.0/24"), use(other.ID, 0, []string{"a:read"}))
	f.records(use(key.ID, 0, []string{"a:read"}, "2001:db8::/48"), use(key.ID, -1, []string{"b:read", "a:read"}))
	scope := func(value string, days int) store.Seen {
		return store.Seen{Kind: store.SeenScope, Value: value, Last: today.AddDate(0, 0, days)}
	}
	network := func(value string, days int) store.Seen {
		return store.Seen{Kind: store.SeenNetwork, Value: value, Last: today.AddDate(0, 0, days)}
	}
	want("all", key.ID, today.AddDate(0, 0, -30), scope("a:read", 0), scope("b:read", -1),
		network("2001:db8::/48", 0), network("203.0.113.0/24", -2))
	want("lately", key.ID, today.Add(-time.Hour), scope("a:read", 0), scope("b:read", -1), network("2001:db8::/48", 0))
	want("another key", other.ID, today, scope("a:read", 0))

	// More networks than are kept.
	many := store.Use{Key: other.ID, LastUsedAt: today}
	for i := range 70 {
		many.Networks = append(many.Networks, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24))
	}
	f.records(many)
	seen, err := f.Seen(f.ctx(), other.ID, today)
	f.must(err)
	if last := seen[len(seen)-1]; len(seen) != 1+store.MaxSeenNetworks+1 || last.Kind != store.SeenMoreNetworks {
		f.Errorf("%d entries, the last %+v", len(seen), last)
	}
	f.records(store.Use{Key: key.ID, LastUsedAt: today, MoreNetworks: true})
	want("a mark", key.ID, today, scope("a:read", 0), network("2001:db8::/48", 0), store.Seen{Kind: store.SeenMoreNetworks, Last: today})

	_, err = f.PruneUsage(f.ctx(), store.Retention{Seen: today})
	f.must(err)
	want("pruned", key.ID, today.AddDate(0, 0, -30), scope("a:read", 0), network("2001:db8::/48", 0),
		store.Seen{Kind: store.SeenMoreNetworks, Last: today})
	if seen, err := f.Seen(f.ctx(), other.ID, today); err != nil || len(seen) != 66 {
		f.Errorf("%d entries of another key, %v", len(seen), err)
	}
}
