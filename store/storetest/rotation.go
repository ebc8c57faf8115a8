package storetest

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

// from replaces the current secret of key.
func from(key apikey.Key, grace time.Duration) apikey.Rotation {
	return apikey.Rotation{From: key.SecretHash, To: key.NewSecret().Hash(), Grace: grace}
}

// rotate gives a key another secret, and returns the key as it is then.
func (f *fixture) rotate(key apikey.Key, grace time.Duration) apikey.Key {
	f.Helper()
	rotated, err := f.RotateKey(f.ctx(), operator, store.ByID(key.ID), from(key, grace))
	f.must(err)
	return rotated
}

func testRotation(f *fixture) {
	const month = 30 * 24 * time.Hour
	tests := map[string]struct {
		grace, wait time.Duration // wait comes first
		kept        time.Duration // how long the old secret stays valid; 0 is not at all
	}{
		"no grace":                  {0, 0, 0},
		"a minute":                  {time.Minute, 0, time.Minute},
		"beyond the end of the key": {apikey.MaxGrace, 0, time.Hour},
		"of an expired key":         {time.Minute, time.Hour, 0},
		"of a key that ended long":  {0, month, 0},
	}
	for name, tt := range tests {
		key := f.create("acme", name, apikey.ScopeRead)
		other := f.create("acme", "beside "+name)
		f.clock.Advance(tt.wait)
		rotation := from(key, tt.grace)
		got, err := f.RotateKey(f.ctx(), operator, store.ByName("acme", name), rotation)
		f.must(err)
		want := key
		want.SecretHash, want.RotatedAt = rotation.To, f.clock.Now()
		if tt.kept > 0 {
			want.OldSecretHash, want.OldSecretUntil = rotation.From, f.clock.Now().Add(tt.kept)
		}
		f.wantKey(got, want)
		f.wantKey(f.get(store.ByID(key.ID)), want)
		f.wantKey(f.get(store.ByID(other.ID)), other)

		// Once more: the old secret is gone, and the current one is old now.
		again := f.rotate(got, 0)
		if again.OldSecretHash != (apikey.Hash{}) || again.SecretHash == got.SecretHash {
			f.Errorf("%s: a second rotation left the first one's secrets", name)
		}
		f.wantKey(f.get(store.ByID(key.ID)), again)
	}
}

func testRotationRefused(f *fixture) {
	writer := f.create("acme", "writer", apikey.ScopeRead, apikey.ScopeWrite)
	reader := f.create("acme", "reader", apikey.ScopeRead)
	admin := f.create("acme", "admin", apikey.ScopeAdmin)
	stranger := f.create("other", "stranger")
	once := f.create("acme", "rotated once")
	twice := f.rotate(once, time.Minute)
	revoked := f.create("acme", "revoked")
	revoked = f.revoke(store.ByID(revoked.ID))
	revokedAdmin := f.create("acme", "revoked admin", apikey.ScopeAdmin)
	f.revoke(store.ByID(revokedAdmin.ID))
	before, events := f.all(), len(f.events())

	attempt := func(actor store.Actor, ref store.Ref, rotation apikey.Rotation) error {
		f.Helper()
		got, err := f.RotateKey(f.ctx(), actor, ref, rotation)
		if err == nil {
			f.Errorf("%s was rotated", got.Name)
		}
		return err
	}
	f.wantErr(attempt(operator, store.ByID(apikey.NewID()), from(once, 0)), store.ErrNotFound)
	f.wantErr(attempt(operator, store.Ref{ID: once.ID, Owner: "other"}, from(twice, 0)), store.ErrNotFound)
	f.wantErr(attempt(operator, store.ByName("acme", "Reader"), from(reader, 0)), store.ErrNotFound)
	f.wantErr(attempt(operator, store.ByID(revoked.ID), from(revoked, 0)), store.ErrRevoked)
	// Only the current secret can be replaced: not the old one, in its grace or not,
	// not another key's, and not none.
	f.wantErr(attempt(operator, store.ByID(once.ID), from(once, 0)), store.ErrRotated)
	f.wantErr(attempt(operator, store.ByID(once.ID), from(once, time.Minute)), store.ErrRotated)
	f.wantErr(attempt(operator, store.ByID(once.ID), from(reader, 0)), store.ErrRotated)
	f.wantErr(attempt(operator, store.ByID(once.ID), apikey.Rotation{To: once.NewSecret().Hash()}), store.ErrRotated)

	f.wantDenied(attempt(actorOf(reader), store.ByID(reader.ID), from(reader, 0)))
	f.wantDenied(attempt(actorOf(writer), store.ByID(admin.ID), from(admin, 0)))
	f.wantErr(attempt(actorOf(writer), store.ByID(stranger.ID), from(stranger, 0)), store.ErrNotFound)
	f.wantErr(attempt(actorOf(writer), store.ByName("other", "stranger"), from(stranger, 0)), store.ErrNotFound)
	// A caller without the right learns nothing about the key.
	f.wantDenied(attempt(actorOf(writer), store.ByID(admin.ID), from(reader, 0)))
	f.wantDenied(attempt(actorOf(writer), store.ByID(revokedAdmin.ID), from(revokedAdmin, 0)))

	if diff := cmp.Diff(before, f.all()); diff != "" || len(f.events()) != events {
		f.Errorf("a refused rotation left a trace (-before +after):\n%s", diff)
	}
}

// all returns every key, newest first.
func (f *fixture) all() []apikey.Key {
	f.Helper()
	page, err := f.Keys(f.ctx(), store.Query{Limit: 1000})
	f.must(err)
	return page.Keys
}

func testRotatedActor(f *fixture) {
	key := f.create("acme", "writer", apikey.ScopeRead, apikey.ScopeWrite)
	old := actorOf(key)
	// A key may rotate itself, and use the old secret until its grace ends.
	key, err := f.RotateKey(f.ctx(), old, store.ByID(key.ID), from(key, time.Minute))
	f.must(err)
	good := func(actor store.Actor) {
		f.Helper()
		target := f.create("acme", "target "+apikey.NewID().String())
		// A revocation would end what the other attempts need.
		for _, verb := range []string{"create", "update", "rotate", "revoke"} {
			if err := f.attempts(store.ByID(target.ID))[verb](actor); err != nil {
				f.Errorf("%s: %v", verb, err)
			}
		}
	}
	gone := func(actor store.Actor) {
		f.Helper()
		target := f.create("acme", "target "+apikey.NewID().String())
		for verb, attempt := range f.attempts(store.ByID(target.ID)) {
			if err := attempt(actor); err == nil {
				f.Errorf("%s by a secret that was rotated out", verb)
			} else {
				f.wantErr(err, store.ErrActorGone)
			}
		}
		f.wantKey(f.get(store.ByID(target.ID)), target)
	}
	good(old)
	good(actorOf(key))
	f.clock.Advance(time.Minute - time.Millisecond)
	good(old)
	f.clock.Advance(time.Millisecond)
	gone(old)
	good(actorOf(key))

	// The next rotation or report ends a grace at once.
	middle := actorOf(key)
	key = f.rotate(key, time.Minute)
	good(middle)
	last := actorOf(key)
	key = f.rotate(key, time.Minute)
	gone(middle)
	good(last)
	f.must(second(f.EndSecret(f.ctx(), last)))
	gone(last)
	good(actorOf(key))
	f.rotate(key, 0)
	gone(actorOf(key))
}

func testRotationAudit(f *fixture) {
	admin := f.create("acme", "admin", apikey.ScopeAdmin)
	key := f.create("other", "ci", "datasets:read")
	f.clock.Advance(time.Second)
	rotated, err := f.RotateKey(f.ctx(), actorOf(admin), store.ByID(key.ID), from(key, time.Minute))
	f.must(err)
	f.rotate(rotated, 0)
	grace := apikey.Timestamp(f.clock.Now().Add(time.Minute))
	f.wantEvents(f.events()[:2],
		store.Event{At: f.clock.Now(), Action: store.ActionRotate, Key: key.ID, Owner: "other", Name: "ci", Via: "storetest",
			Changes: apikey.Differences{f.changed("grace_ends_at", grace, nil)}},
		store.Event{At: f.clock.Now(), Action: store.ActionRotate, Key: key.ID, Owner: "other", Name: "ci",
			Actor: admin.ID, Via: "http", Address: "192.0.2.1", RequestID: "R1",
			Changes: apikey.Differences{f.changed("grace_ends_at", nil, grace)}})
}

func testConcurrentRotations(f *fixture) {
	const callers = 12
	for round := range 5 {
		key := f.create("acme", fmt.Sprint("ci ", round))
		events := len(f.events())
		got := make([]apikey.Key, callers)
		won := f.atOnce(callers, store.ErrRotated, func(i int) (err error) {
			got[i], err = f.RotateKey(f.ctx(), operator, store.ByID(key.ID), from(key, time.Minute))
			return err
		})
		if won != 1 || len(f.events()) != events+1 {
			f.Fatalf("%d rotations won, with %d events", won, len(f.events())-events)
		}
		stored := f.get(store.ByID(key.ID))
		for _, winner := range got {
			if winner.OldSecretHash == key.SecretHash { // the losers get the unchanged key
				f.wantKey(stored, winner)
			}
		}
		if stored.SecretHash == key.SecretHash || stored.OldSecretHash != key.SecretHash {
			f.Error("no winner's secret was stored")
		}
	}
}

// testMatch makes many changes of one key at once, each on condition that it is as it was: one is made. With another
// state of the key, none is.
func testMatch(f *fixture) {
	key := f.create("acme", "matched")
	with := func(etag string) store.Ref {
		match, err := apikey.ParseMatch(etag)
		f.must(err)
		return store.Ref{ID: key.ID, Match: match}
	}
	for round := range 5 {
		before := f.get(store.ByID(key.ID))
		ref := with(before.ETag())
		changed := f.atOnce(12, store.ErrChanged, func(i int) error {
			var err error
			switch name := fmt.Sprintf("round %d, editor %d", round, i); i % 3 {
			case 0:
				_, err = f.RotateKey(f.ctx(), operator, ref, from(before, time.Hour))
			default:
				_, err = f.UpdateKey(f.ctx(), operator, ref, apikey.Change{Name: &name})
			}
			return err
		})
		after := f.get(store.ByID(key.ID))
		if changed != 1 || after.ETag() == before.ETag() {
			f.Errorf("round %d: %d changes were made, want 1", round, changed)
		}
		before = after
		_, err := f.UpdateKey(f.ctx(), operator, ref, apikey.Change{})
		f.wantErr(err, store.ErrChanged)
		_, err = f.RotateKey(f.ctx(), operator, ref, from(before, 0))
		f.wantErr(err, store.ErrChanged)
		_, err = f.RevokeKey(f.ctx(), operator, ref, "")
		f.wantErr(err, store.ErrChanged)
		f.wantKey(f.get(store.ByID(key.ID)), before)
	}
	_, err := f.RevokeKey(f.ctx(), operator, with("*"), "")
	f.must(err)
}
