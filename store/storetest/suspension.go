package storetest

import (
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// suspend suspends a key, or ends that.
func (f *fixture) suspend(key apikey.Key, suspended bool) apikey.Key {
	f.Helper()
	key, err := f.UpdateKey(f.ctx(), operator, store.ByID(key.ID), apikey.Change{Suspended: &suspended})
	f.must(err)
	return key
}

func testSuspension(f *fixture) {
	key := f.create("acme", "ci")
	f.create("acme", "other")
	born := f.add(apikey.Settings{Owner: "acme", Name: "born suspended", Suspended: true})
	f.wantKey(f.get(store.ByID(born.ID)), born)
	before := key
	key.Suspended = true
	for range 2 { // the second time changes nothing
		f.wantKey(f.suspend(key, true), key)
		f.wantKey(f.get(store.ByName("acme", "ci")), key)
	}
	now := f.clock.Now()
	if status := key.Status(now); status != apikey.StatusRevoked || key.IsRevoked() {
		f.Errorf("a suspended key is %s, revoked: %t", status, key.IsRevoked())
	}
	both := []string{"born suspended", "ci"}
	for _, tt := range []struct {
		q    store.Query
		want []string
	}{
		{store.Query{Enabled: new(false)}, both},
		{store.Query{Enabled: new(true)}, []string{"other"}},
		{store.Query{Status: apikey.StatusRevoked}, both},
		{store.Query{Status: apikey.StatusActive}, []string{"other"}},
		{store.Query{Status: apikey.StatusExpired}, nil},
		{store.Query{Status: apikey.StatusActive, Enabled: new(false)}, nil},
		{store.Query{Owner: "acme", Enabled: new(false), Status: apikey.StatusRevoked, ExpiresBefore: now.Add(2 * time.Hour)}, both},
	} {
		for _, tt.q.Limit = range []int{1, 9} {
			tt.q.At = now
			f.wantList(tt.q, tt.want)
		}
	}
	f.wantErr(f.CreateKey(f.ctx(), operator, f.draft("acme", "ci")), store.ErrNameTaken)
	key = f.rotate(key, time.Minute)
	if got, err := f.rename(operator, store.ByID(key.ID), "ci 2"); err != nil || !got.Suspended {
		f.Errorf("a suspended key cannot be renamed: %v", err)
	}
	f.clock.Advance(2 * time.Hour)
	f.wantList(store.Query{Status: apikey.StatusExpired, At: f.clock.Now(), Limit: 9}, []string{"other"})
	f.clock.Advance(-2 * time.Hour)
	key = f.suspend(key, false)
	if before.Status(now) != key.Status(now) || key.Suspended {
		f.Errorf("after its suspension the key is %s", key.Status(now))
	}
	events := f.events()
	f.wantEvents(events[:1], store.Event{At: now, Action: store.ActionUpdate, Key: key.ID, Owner: "acme", Name: "ci 2",
		Via: "storetest", Changes: apikey.Differences{f.changed("enabled", false, true)}})
	if len(events) != 7 { // 3 creations, a suspension, a rotation, another name, the end of the suspension
		f.Errorf("%d events, want 7", len(events))
	}
}

func testSuspensionAuthority(f *fixture) {
	writer := f.create("acme", "writer", apikey.ScopeWrite)
	admin := f.create("acme", "admin", apikey.ScopeAdmin)
	stranger := f.create("other", "stranger")
	for _, suspended := range []bool{true, false} {
		change := apikey.Change{Suspended: &suspended}
		f.wantDenied(second(f.UpdateKey(f.ctx(), actorOf(writer), store.ByID(admin.ID), change)))
		f.wantErr(second(f.UpdateKey(f.ctx(), actorOf(writer), store.ByID(stranger.ID), change)), store.ErrNotFound)
		f.must(second(f.UpdateKey(f.ctx(), actorOf(admin), store.ByID(stranger.ID), change)))
	}
	// A key may suspend itself, and is gone then.
	f.must(second(f.UpdateKey(f.ctx(), actorOf(writer), store.ByID(writer.ID), apikey.Change{Suspended: new(true)})))
	f.wantErr(second(f.UpdateKey(f.ctx(), actorOf(writer), store.ByID(writer.ID), apikey.Change{Suspended: new(false)})),
		store.ErrActorGone)
}

// A key of a suspended owner is REVOKED wherever it is read or counted, and keeps its own settings.
func testStatusOfSuspendedOwner(f *fixture) {
	start := f.clock.Now()
	add := func(owner, name string, lifetime time.Duration) apikey.Key {
		return f.add(apikey.Settings{Owner: owner, Name: name, ExpiresAt: start.Add(lifetime)})
	}
	const hour = time.Hour
	active, rotated := add("acme", "active", 9*hour), f.rotate(add("acme", "rotated", 9*hour), 2*hour)
	add("acme", "expired", time.Minute)
	suspended := f.suspend(add("acme", "suspended", 9*hour), true)
	f.revoke(store.ByID(add("acme", "revoked", 9*hour).ID))
	f.rotate(add("other", "other", 9*hour), 2*hour)
	now := start.Add(hour)
	f.clock.Advance(hour)
	all := []string{"other", "revoked", "suspended", "expired", "rotated", "active"}
	for range 2 {
		for _, barred := range []bool{false, true} {
			f.changeOwner("acme", apikey.OwnerChange{Suspended: &barred})
			for _, want := range []apikey.Key{active, rotated, suspended} {
				want.OwnerSuspended = barred
				f.wantKey(f.get(store.ByID(want.ID)), want)
				f.wantKey(f.get(store.ByName("acme", want.Name)), want)
				got, err := f.UpdateKey(f.ctx(), operator, store.ByID(want.ID), apikey.Change{Metadata: &apikey.Metadata{}})
				f.must(err)
				f.wantKey(got, want)
			}
			lists := map[string][]string{
				"active": {"other", "rotated", "active"}, "expired": {"expired"}, "revoked": {"revoked", "suspended"},
				"rotating": {"other", "rotated"}, "still": {"revoked", "suspended", "expired", "active"},
			}
			counts := store.KeyCounts{Active: 2, Expired: 1, Revoked: 2, Suspended: 1}
			acme := store.Summary{Active: 2, Expired: 1, Revoked: 2, Suspended: 1, Rotating: 1, ExpiringSoon: 2}
			if barred {
				lists = map[string][]string{"active": {"other"}, "revoked": all[1:], "rotating": {"other"}, "still": all[1:]}
				counts = store.KeyCounts{Revoked: 5, Suspended: 4}
				acme = store.Summary{Revoked: 5, Suspended: 4}
			}
			for _, limit := range []int{1, 2, 9} {
				for name, q := range map[string]store.Query{
					"active": {Status: apikey.StatusActive}, "expired": {Status: apikey.StatusExpired}, "revoked": {Status: apikey.StatusRevoked},
					"rotating": {Rotating: new(true)}, "still": {Rotating: new(false)},
				} {
					q.At, q.Limit = now, limit
					f.wantList(q, lists[name])
					q.Owner = "acme"
					var ofAcme []string
					for _, name := range lists[name] {
						if name != "other" {
							ofAcme = append(ofAcme, name)
						}
					}
					f.wantList(q, ofAcme)
				}
				f.wantList(store.Query{Enabled: new(false), At: now, Limit: limit}, []string{"suspended"})
				f.wantList(store.Query{At: now, Limit: limit}, all)
			}
			f.wantOwner("acme", apikey.OwnerSettings{Suspended: barred, Metadata: apikey.Metadata{}}, counts, time.Time{})
			f.wantSummary("acme", now, acme)
			other := store.Summary{Active: 1, Rotating: 1, ExpiringSoon: 1}
			f.wantSummary("other", now, other)
			f.wantSummary("", now, store.Summary{
				Active: acme.Active + 1, Expired: acme.Expired, Revoked: acme.Revoked, Suspended: acme.Suspended,
				Rotating: acme.Rotating + 1, ExpiringSoon: acme.ExpiringSoon + 1,
			})
		}
	}
	revoked := f.revoke(store.ByID(active.ID))
	if !revoked.IsRevoked() {
		f.Error("a key of a suspended owner cannot be revoked")
	}
}

func testRevokeSuspended(f *fixture) {
	key := f.suspend(f.create("acme", "ci"), true)
	want := key
	want.Suspended, want.RevokedAt, want.RevocationReason = false, f.clock.Now(), apikey.ReasonUnspecified
	f.wantKey(f.revoke(store.ByID(key.ID)), want)
	f.wantKey(f.get(store.ByID(key.ID)), want)
	f.wantErr(second(f.UpdateKey(f.ctx(), operator, store.ByID(key.ID), apikey.Change{Suspended: new(true)})), store.ErrRevoked)
	f.wantList(store.Query{Enabled: new(false), Limit: 1}, nil)
	f.wantList(store.Query{Status: apikey.StatusRevoked, Limit: 1}, []string{"ci"})
}

func testReasons(f *fixture) {
	f.suspend(f.create("acme", "suspended"), true)
	for _, reason := range apikey.Reasons() {
		key := f.create("acme", string(reason))
		for _, given := range []apikey.Reason{reason, apikey.ReasonPolicy} { // the second changes nothing
			got, err := f.RevokeKey(f.ctx(), operator, store.ByID(key.ID), given)
			f.must(err)
			if got.RevocationReason != reason {
				f.Errorf("revoked as %s: the reason is %s", reason, got.RevocationReason)
			}
			f.wantKey(f.get(store.ByID(key.ID)), got)
		}
		f.wantList(store.Query{Reason: reason, Limit: 9}, []string{string(reason)})
		f.wantList(store.Query{Owner: "acme", Reason: reason, Status: apikey.StatusRevoked, Limit: 9}, []string{string(reason)})
	}
	f.must(second(f.RevokeKey(f.ctx(), operator, store.ByID(f.create("acme", "none").ID), "")))
	f.wantList(store.Query{Reason: apikey.ReasonUnspecified, Limit: 9}, []string{"none", string(apikey.ReasonUnspecified)})
}
