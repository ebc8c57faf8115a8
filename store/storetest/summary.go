package storetest

import (
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

func testRotatingFilter(f *fixture) {
	start := f.clock.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	const ms, minute, hour = time.Millisecond, time.Minute, time.Hour
	add := func(owner, name string, lifetime time.Duration) apikey.Key {
		return f.add(apikey.Settings{Owner: owner, Name: name, ExpiresAt: at(lifetime)})
	}
	add("acme", "never rotated", 9*hour)
	f.rotate(add("acme", "at once", 9*hour), 0)
	f.rotate(add("acme", "short", 9*hour), minute)
	f.rotate(add("acme", "ends first", minute), hour)
	f.rotate(add("other", "other's", 9*hour), hour)
	gone := add("acme", "revoked", 9*hour)
	f.rotate(gone, hour)
	f.revoke(store.ByID(gone.ID))

	all := []string{"revoked", "other's", "ends first", "short", "at once", "never rotated"}
	for _, tt := range []struct {
		after time.Duration
		want  []string
	}{
		{0, []string{"other's", "ends first", "short"}},
		{minute - ms, []string{"other's", "ends first", "short"}},
		{minute, []string{"other's"}},
		{hour - ms, []string{"other's"}},
		{hour, nil},
	} {
		var others []string
		for _, name := range all {
			if !slices.Contains(tt.want, name) {
				others = append(others, name)
			}
		}
		f.wantList(store.Query{Rotating: new(true), At: at(tt.after), Limit: 2}, tt.want)
		f.wantList(store.Query{Rotating: new(false), At: at(tt.after), Limit: 2}, others)
	}
	f.wantList(store.Query{Owner: "acme", Rotating: new(true), At: start, Limit: 2}, []string{"ends first", "short"})
	f.wantList(store.Query{NameContains: "s", Status: apikey.StatusActive, Rotating: new(true), At: start, Limit: 9},
		[]string{"other's", "ends first", "short"})
	f.wantList(store.Query{Status: apikey.StatusRevoked, Rotating: new(true), At: start, Limit: 9}, nil)
	f.wantList(store.Query{Limit: 9}, all)
}

// Keys of all kinds, at the moments when their status changes: each number of a summary is
// how many keys a list with the same filters finds.
func testSummary(f *fixture) {
	start := f.clock.Now()
	const ms, day = time.Millisecond, 24 * time.Hour
	f.wantSummary("", start, store.Summary{})
	for _, owner := range []string{"acme", "other"} {
		add := func(name string, lifetime time.Duration) apikey.Key {
			return f.add(apikey.Settings{Owner: owner, Name: name, ExpiresAt: start.Add(lifetime)})
		}
		add("short", 10*day)
		used := add("used", 300*day)
		f.rotate(add("rotating", 300*day), 7*day)
		f.rotate(add("rotating, and expires", 3*day), 7*day)
		gone := add("revoked", 5*day)
		f.rotate(gone, 7*day)
		f.revoke(store.ByID(gone.ID))
		if owner == "other" {
			f.rotate(f.suspend(add("suspended", 5*day), true), 7*day)
			f.suspend(add("suspended, and expires", 400*day), true)
			f.revoke(store.ByID(f.suspend(add("suspended, then revoked", 5*day), true).ID))
		}
		if owner == "acme" {
			add("of acme alone", 31*day)
			f.must(f.RecordUses(f.ctx(), []store.Use{{Key: used.ID, LastUsedAt: start.Add(5 * day)}}))
		}
	}
	for _, tt := range []struct {
		after       time.Duration
		acme, other store.Summary
	}{
		{0, store.Summary{Active: 5, Revoked: 1, Rotating: 2, ExpiringSoon: 2},
			store.Summary{Active: 4, Revoked: 4, Suspended: 2, Rotating: 2, ExpiringSoon: 2}},
		{day, store.Summary{Active: 5, Revoked: 1, Rotating: 2, ExpiringSoon: 2},
			store.Summary{Active: 4, Revoked: 4, Suspended: 2, Rotating: 2, ExpiringSoon: 2}},
		{day + ms, store.Summary{Active: 5, Revoked: 1, Rotating: 2, ExpiringSoon: 3},
			store.Summary{Active: 4, Revoked: 4, Suspended: 2, Rotating: 2, ExpiringSoon: 2}},
		{3 * day, store.Summary{Active: 4, Expired: 1, Revoked: 1, Rotating: 1, ExpiringSoon: 2},
			store.Summary{Active: 3, Expired: 1, Revoked: 4, Suspended: 2, Rotating: 1, ExpiringSoon: 1}},
		{90 * day, store.Summary{Active: 2, Expired: 3, Revoked: 1}, store.Summary{Active: 2, Expired: 2, Revoked: 4, Suspended: 2}},
		{90*day + ms, store.Summary{Active: 2, Expired: 3, Revoked: 1, Unused: 1},
			store.Summary{Active: 2, Expired: 2, Revoked: 4, Suspended: 2, Unused: 2}},
		{95*day + ms, store.Summary{Active: 2, Expired: 3, Revoked: 1, Unused: 2},
			store.Summary{Active: 2, Expired: 2, Revoked: 4, Suspended: 2, Unused: 2}},
		{300 * day, store.Summary{Expired: 5, Revoked: 1}, store.Summary{Expired: 4, Revoked: 4, Suspended: 2}},
	} {
		at := start.Add(tt.after)
		f.wantSummary("acme", at, tt.acme)
		f.wantSummary("other", at, tt.other)
		f.wantSummary("", at, store.Summary{
			Active: tt.acme.Active + tt.other.Active, Expired: tt.acme.Expired + tt.other.Expired,
			Revoked: tt.acme.Revoked + tt.other.Revoked, Suspended: tt.acme.Suspended + tt.other.Suspended, Rotating: tt.acme.Rotating + tt.other.Rotating,
			ExpiringSoon: tt.acme.ExpiringSoon + tt.other.ExpiringSoon, Unused: tt.acme.Unused + tt.other.Unused,
		})
	}
	f.wantSummary("nobody", start, store.Summary{})
}

func (f *fixture) wantSummary(owner string, at time.Time, want store.Summary) {
	f.Helper()
	got, err := f.Summary(f.ctx(), owner, at)
	f.must(err)
	if diff := cmp.Diff(want, got); diff != "" {
		f.Errorf("the summary of %q at %s differs (-want +got):\n%s", owner, at, diff)
	}
	find := func(q store.Query) int {
		q.Owner, q.At, q.Limit = owner, at, 1
		page, err := f.Keys(f.ctx(), q)
		f.must(err)
		return page.Total
	}
	listed := store.Summary{
		Active:       find(store.Query{Status: apikey.StatusActive}),
		Expired:      find(store.Query{Status: apikey.StatusExpired}),
		Revoked:      find(store.Query{Status: apikey.StatusRevoked}),
		Rotating:     find(store.Query{Rotating: new(true)}),
		ExpiringSoon: find(store.Query{Status: apikey.StatusActive, ExpiresBefore: at.Add(apikey.ExpiringSoon)}),
		Unused:       find(store.Query{Status: apikey.StatusActive, LastUsedBefore: at.Add(-apikey.UnusedAfter)}),
	}
	f.walk(store.Query{Owner: owner, Status: apikey.StatusRevoked, At: at, Limit: 9}, func(key apikey.Key) {
		if key.RevokedAt.IsZero() {
			listed.Suspended++
		}
	})
	if diff := cmp.Diff(listed, got); diff != "" {
		f.Errorf("the summary of %q at %s differs from lists (-lists +summary):\n%s", owner, at, diff)
	}
}
