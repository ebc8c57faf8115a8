package storetest

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

const day = 24 * time.Hour

var noticeRules = store.NoticeRules{Thresholds: []time.Duration{7 * day, 30 * day, day}, AdminAge: 90 * day}

// lasting stores a key that ends after a time.
func (f *fixture) lasting(name string, life time.Duration, scopes ...string) apikey.Key {
	f.Helper()
	return f.add(apikey.Settings{Owner: "acme", Name: name, ExpiresAt: f.clock.Now().Add(life), Scopes: scopes})
}

// notify writes the notices that are due, until all keys were looked at, and returns how many.
func (f *fixture) notify(kind store.NoticeKind) (written int) {
	f.Helper()
	place := store.NoticePlace{}
	for {
		n, next, err := f.WriteNotices(f.ctx(), kind, noticeRules, place)
		f.must(err)
		if written += n; next == (store.NoticePlace{}) {
			return written
		}
		place = next
	}
}

// noticesOf returns the notices of a key so far, oldest first: the action, and what it says.
func (f *fixture) noticesOf(key apikey.ID) (all []string) {
	f.Helper()
	for _, e := range slices.Backward(f.events()) {
		if notice, is := e.Changes.Get(apikey.NoticeField); is && e.Key == key {
			all = append(all, e.Action+" "+string(notice.To))
		}
	}
	return all
}

func (f *fixture) wantNotices(what string, key apikey.Key, want ...string) {
	f.Helper()
	if diff := cmp.Diff(want, f.noticesOf(key.ID)); diff != "" {
		f.Errorf("%s: the notices differ (-want +got):\n%s", what, diff)
	}
}

func expiring(key apikey.Key, days int) string {
	return fmt.Sprintf(`expiring {"ends_at":%q,"threshold_seconds":%d}`, apikey.Timestamp(key.ExpiresAt), days*86400)
}

func expired(key apikey.Key) string {
	return fmt.Sprintf(`expired {"ends_at":%q}`, apikey.Timestamp(key.ExpiresAt))
}

func testEndNotices(f *fixture) {
	long, short, last := f.lasting("long", 40*day), f.lasting("short", 30*day+time.Second), f.lasting("last", 365*day)
	notify := func(want int) {
		f.Helper()
		if got := f.notify(store.NoticeEnd) + f.notify(store.NoticeEnd); got != want {
			f.Errorf("%d notices were written, want %d", got, want)
		}
	}
	notify(0) // short does not live notably longer than its first threshold
	f.clock.Advance(10*day - time.Millisecond)
	notify(0)
	f.clock.Advance(time.Millisecond)
	notify(1)
	f.wantNotices("40 days", long, expiring(long, 30))
	f.wantEvents(f.events()[:1], store.Event{
		At: f.clock.Now(), Action: store.ActionExpiring, Key: long.ID, Owner: "acme", Name: "long", Via: "notices",
		Changes: store.Notice{EndsAt: apikey.Timestamp(long.ExpiresAt), Threshold: 30 * 86400}.Differences(),
	})
	f.wantKey(f.get(store.ByID(long.ID)), long)
	f.clock.Advance(13*day + time.Second)
	notify(1) // short: 7 d
	f.clock.Advance(13 * day)
	notify(2) // after a downtime only the nearest threshold of each
	f.wantNotices("short, after a downtime", short, expiring(short, 7), expired(short))
	f.wantNotices("long, after a downtime", long, expiring(long, 30), expiring(long, 7))

	// A moved end is another one, and so is the earlier one again.
	moved := f.get(store.ByID(long.ID))
	moved.ExpiresAt = f.clock.Now().Add(20 * day)
	f.must(second(f.UpdateKey(f.ctx(), operator, store.ByID(long.ID), apikey.Change{ExpiresAt: &moved.ExpiresAt})))
	notify(1)
	f.clock.Advance(20 * day)
	notify(1)
	f.wantNotices("moved", long, expiring(long, 30), expiring(long, 7), expiring(moved, 30), expired(moved))

	// What ended long ago is not news.
	f.clock.Advance(365 * day)
	notify(0)
	f.wantNotices("long ago", last)

	// That they were written is forgotten when nobody asks any more.
	if n, err := f.PruneUsage(f.ctx(), store.Retention{Notices: f.clock.Now()}); n != 3 || err != nil {
		f.Errorf("%d notices were forgotten, %v; want those of three ends", n, err)
	}
	notify(0)
	f.wantChains(len(f.events()))
}

func testNoNotices(f *fixture) {
	revoked, suspended, barred := f.lasting("revoked", 60*day), f.lasting("suspended", 60*day), f.add(apikey.Settings{
		Owner: "barred", Name: "barred", ExpiresAt: f.clock.Now().Add(60 * day),
	})
	f.revoke(store.ByID(revoked.ID))
	enable := func(enabled bool) {
		f.Helper()
		f.must(second(f.UpdateKey(f.ctx(), operator, store.ByID(suspended.ID), apikey.Change{Suspended: new(!enabled)})))
		f.must(second(f.UpdateOwner(f.ctx(), operator, "barred", apikey.OwnerChange{Suspended: new(!enabled)})))
	}
	enable(false)
	f.clock.Advance(55 * day)
	if n := f.notify(store.NoticeEnd); n != 0 {
		f.Errorf("%d notices were written of revoked and suspended keys", n)
	}
	enable(true)
	if n := f.notify(store.NoticeEnd); n != 2 {
		f.Errorf("%d notices were written of resumed keys, want 2", n)
	}
	f.wantNotices("revoked", revoked)
	f.wantNotices("resumed", suspended, expiring(suspended, 7))
	f.wantNotices("its owner resumed", barred, expiring(barred, 7))
	for _, rules := range []store.NoticeRules{{}, {AdminAge: time.Hour}} {
		f.clock.Advance(5 * day)
		n, next, err := f.WriteNotices(f.ctx(), store.NoticeEnd, rules, store.NoticePlace{})
		if n != 0 || next != (store.NoticePlace{}) || err != nil {
			f.Errorf("without thresholds %d notices were written, %v", n, err)
		}
	}
}

func testGraceNotices(f *fixture) {
	rotate := func(name string, grace time.Duration) apikey.Key {
		f.Helper()
		key := f.lasting(name, 90*day)
		f.clock.Advance(time.Second)
		key, err := f.RotateKey(f.ctx(), operator, store.ByID(key.ID), apikey.Rotation{From: key.SecretHash, To: key.NewSecret().Hash(), Grace: grace})
		f.must(err)
		return key
	}
	ending := func(key apikey.Key) string {
		return fmt.Sprintf(`grace_ending {"ends_at":%q}`, apikey.Timestamp(key.OldSecretUntil))
	}
	week, hour, none := rotate("a week", 7*day), rotate("an hour", time.Hour), rotate("none", 0)
	if n := f.notify(store.NoticeGrace); n != 0 {
		f.Errorf("%d notices at the start of a grace", n)
	}
	f.clock.Advance(29 * time.Minute)
	f.notify(store.NoticeGrace)
	f.wantNotices("before half an hour", hour)
	f.clock.Advance(2 * time.Minute)
	f.notify(store.NoticeGrace)
	f.wantNotices("after half an hour", hour, ending(hour))
	f.clock.Advance(6*day - time.Hour)
	f.wantNotices("before the last day", week)
	f.clock.Advance(time.Hour)
	if n := f.notify(store.NoticeGrace) + f.notify(store.NoticeGrace); n != 1 {
		f.Errorf("%d notices on the last day, want 1", n)
	}
	f.wantNotices("on the last day", week, ending(week))
	f.wantNotices("no grace", none)
}

func testSecretNotices(f *fixture) {
	admin, plain := f.lasting("admin", 5*365*day, apikey.ScopeAdmin), f.lasting("plain", 5*365*day, apikey.ScopeRead, "x-keys:admin")
	due := func(since time.Time) string {
		return fmt.Sprintf(`rotation_due {"secret_since":%q}`, apikey.Timestamp(since))
	}
	f.clock.Advance(90*day - time.Millisecond)
	f.notify(store.NoticeSecret)
	f.wantNotices("too early", admin)
	f.clock.Advance(time.Millisecond)
	if n := f.notify(store.NoticeSecret) + f.notify(store.NoticeSecret); n != 1 {
		f.Errorf("%d notices of an old secret, want 1", n)
	}
	f.wantNotices("old", admin, due(admin.CreatedAt))
	f.must(second(f.RotateKey(f.ctx(), operator, store.ByID(admin.ID), apikey.Rotation{From: admin.SecretHash, To: admin.NewSecret().Hash()})))
	rotated := f.clock.Now()
	f.clock.Advance(89 * day)
	f.notify(store.NoticeSecret)
	f.wantNotices("rotated", admin, due(admin.CreatedAt))
	f.clock.Advance(2 * day)
	f.notify(store.NoticeSecret)
	f.wantNotices("old again", admin, due(admin.CreatedAt), due(rotated))
	f.wantNotices("no admin", plain)
}

func testQuotaNotices(f *fixture) {
	limited := f.add(apikey.Settings{Owner: "acme", Name: "limited", Quota: apikey.Quota{Limit: 5, Period: apikey.Day, StartsOn: 1}})
	free := f.create("acme", "free")
	f.must(second(f.UpdateOwner(f.ctx(), operator, "acme", apikey.OwnerChange{Quota: &apikey.Quota{Limit: 9, Period: apikey.Day, StartsOn: 1}})))
	until := f.clock.Now().Add(time.Hour)
	for range 2 {
		for _, s := range []store.Subject{{Key: limited.ID}, {Key: free.ID}, {Owner: "acme"}, {Owner: "beta"}, {Key: apikey.NewID()}} {
			f.must(f.RecordQuotaReached(f.ctx(), s, until))
		}
	}
	says := func(limit int, until time.Time) string {
		return fmt.Sprintf(`quota_reached {"limit":%d,"resets_at":%q}`, limit, apikey.Timestamp(until))
	}
	f.wantNotices("a key", limited, says(5, until))
	f.wantNotices("without a quota", free)
	f.wantNotices("an owner", apikey.Key{}, says(9, until))
	owner := f.events()[0]
	if owner.Owner != "acme" || owner.Name != "acme" || store.EventType(&owner) != "owner.quota_reached" {
		f.Errorf("the event of an owner is %+v", owner)
	}
	f.must(f.RecordQuotaReached(f.ctx(), store.Subject{Key: limited.ID}, until.Add(day)))
	f.wantNotices("the next period", limited, says(5, until), says(5, until.Add(day)))
	f.revoke(store.ByID(limited.ID))
	f.must(f.RecordQuotaReached(f.ctx(), store.Subject{Key: limited.ID}, until.Add(2*day)))
	f.wantNotices("revoked", limited, says(5, until), says(5, until.Add(day)))
}

func testNetworkNotices(f *fixture) {
	admin, plain := f.create("acme", "admin", apikey.ScopeAdmin), f.create("acme", "plain", apikey.ScopeWrite)
	use := func(from ...string) {
		f.Helper()
		var networks []netip.Prefix
		for _, n := range from {
			networks = append(networks, netip.MustParsePrefix(n))
		}
		for _, key := range []apikey.Key{admin, plain} {
			f.records(store.Use{Key: key.ID, Owner: "acme", Hour: f.clock.Now(), LastUsedAt: f.clock.Now(), Networks: networks})
		}
	}
	says := func(network string) string { return fmt.Sprintf(`new_network {"network":%q}`, network) }
	use("192.0.2.0/24")
	f.wantNotices("the first use", admin)
	f.clock.Advance(time.Hour)
	use("192.0.2.0/24", "198.51.100.0/24", "2001:db8::/48")
	want := []string{says("198.51.100.0/24"), says("2001:db8::/48")}
	f.wantNotices("two new networks", admin, want...)
	if e := f.events()[0]; e.Actor != admin.ID || e.Via != "http" || e.Name != "admin" {
		f.Errorf("the event is %+v", e)
	}
	f.clock.Advance(day)
	use("198.51.100.0/24")
	f.wantNotices("a known one", admin, want...)
	f.clock.Advance(40 * day)
	f.must(second(f.PruneUsage(f.ctx(), store.Retention{Seen: f.clock.Now()})))
	use("203.0.113.0/24")
	f.wantNotices("long unused", admin, append(want, says("203.0.113.0/24"))...)
	f.wantNotices("no admin", plain)
	if seen, err := f.Seen(f.ctx(), admin.ID, f.clock.Now()); err != nil || len(seen) != 1 || seen[0].Value != "203.0.113.0/24" {
		f.Errorf("seen is %v, %v", seen, err)
	}
}

func testNoticesAtOnce(f *fixture) {
	const keys = 20
	f.create("acme", "limited")
	f.must(second(f.UpdateOwner(f.ctx(), operator, "acme", apikey.OwnerChange{Quota: &apikey.Quota{Limit: 9, Period: apikey.Day, StartsOn: 1}})))
	for i := range keys {
		f.lasting(numbered(i), 40*day)
	}
	f.clock.Advance(20 * day)
	before := len(f.events())
	var written atomic.Int64
	f.atOnce(8, nil, func(int) error {
		n, _, err := f.WriteNotices(f.ctx(), store.NoticeEnd, noticeRules, store.NoticePlace{})
		written.Add(int64(n))
		if err == nil {
			err = f.RecordQuotaReached(f.ctx(), store.Subject{Owner: "acme"}, f.clock.Now())
		}
		return err
	})
	if events := len(f.events()) - before; events != keys+1 || written.Load() != keys {
		f.Errorf("%d notices and %d events were written, want %d of %d keys and one of an owner", written.Load(), events, keys, keys)
	}
}

// More keys than one call looks at, all with one end.
func testManyNotices(f *fixture) {
	const keys = 1300
	end := f.clock.Now().Add(40 * day)
	f.atOnce(keys, nil, func(i int) error {
		key := f.draft("acme", numbered(i))
		key.ExpiresAt = end
		return f.CreateKey(f.ctx(), operator, key)
	})
	f.clock.Advance(39 * day)
	first, next, err := f.WriteNotices(f.ctx(), store.NoticeEnd, noticeRules, store.NoticePlace{})
	if err != nil || first >= keys || next == (store.NoticePlace{}) {
		f.Errorf("one call wrote %d notices and continues at %v, %v", first, next, err)
	}
	rest, next, err := f.WriteNotices(f.ctx(), store.NoticeEnd, noticeRules, next)
	if err != nil || first+rest != keys || next != (store.NoticePlace{}) {
		f.Errorf("the next call wrote %d notices after %d and continues at %v, %v", rest, first, next, err)
	}
	if n := f.notify(store.NoticeEnd); n != 0 {
		f.Errorf("%d notices were written again", n)
	}
}
