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
