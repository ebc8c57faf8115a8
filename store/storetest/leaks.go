package storetest

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

// finder acts as somebody who found the current secret of a key.
func finder(key apikey.Key) store.Actor {
	return store.Actor{Key: key.ID, Secret: key.SecretHash, Via: "leak report", Address: "2001:db8::1", RequestID: "R2"}
}

// end ends a secret, which must succeed, and returns the event.
func (f *fixture) end(actor store.Actor) (apikey.Key, store.Event) {
	f.Helper()
	before := len(f.events())
	key, err := f.EndSecret(f.ctx(), actor)
	f.must(err)
	events := f.events()
	if len(events) != before+1 {
		f.Fatalf("%d events, want one", len(events)-before)
	}
	return key, events[0]
}

// wantLeak checks the event of a report that ended a secret. graceEnd is the end of a grace
// that ended with it.
func (f *fixture) wantLeak(got store.Event, key apikey.Key, revoked bool, graceEnd time.Time) {
	f.Helper()
	want := store.Event{At: f.clock.Now(), Action: store.ActionLeak, Key: key.ID, Owner: key.Owner, Name: key.Name,
		Actor: key.ID, Via: "leak report", Address: "2001:db8::1", RequestID: "R2"}
	if revoked && key.Suspended {
		want.Changes = append(want.Changes, f.changed("enabled", false, true))
	}
	if !graceEnd.IsZero() {
		want.Changes = append(want.Changes, f.changed("grace_ends_at", apikey.Timestamp(graceEnd), nil))
	}
	if revoked {
		want.Changes = append(want.Changes, f.changed("revocation_reason", nil, apikey.ReasonKeyCompromise),
			f.changed("revoked_at", nil, apikey.Timestamp(f.clock.Now())))
	}
	f.wantEvents([]store.Event{got}, want)
}

func testEndCurrentSecret(f *fixture) {
	tests := map[string]struct {
		key  apikey.Key
		wait time.Duration
	}{
		"a key without scopes":  {f.create("acme", "none"), 0},
		"an admin":              {f.create("acme", "admin", apikey.ScopeAdmin), 0},
		"a key that rotated":    {f.rotate(f.create("acme", "rotated"), 0), 0},
		"a key in its grace":    {f.rotate(f.create("acme", "grace"), time.Hour), time.Minute},
		"a suspended key":       {f.suspend(f.create("acme", "suspended"), true), 0},
		"an expired key":        {f.create("acme", "expired"), time.Hour},
		"one that expired long": {f.create("acme", "long"), 1000 * time.Hour},
	}
	for name, tt := range tests {
		start := f.clock.Now()
		f.clock.Advance(tt.wait)
		got, event := f.end(finder(tt.key))
		want := tt.key.Revoke(f.clock.Now(), apikey.ReasonKeyCompromise).EndGrace()
		f.wantKey(got, want)
		f.wantKey(f.get(store.ByID(tt.key.ID)), want)
		f.wantLeak(event, tt.key, true, tt.key.GraceEnd(f.clock.Now()))
		f.wantErr(second(f.EndSecret(f.ctx(), finder(tt.key))), store.ErrNotFound)
		f.create("acme", tt.key.Name) // its name is free again
		if f.Failed() {
			f.Fatalf("that was %s", name)
		}
		f.clock.Advance(start.Sub(f.clock.Now()))
	}
}

func testEndGraceSecret(f *fixture) {
	key := f.create("acme", "ci")
	old := finder(key)
	rotated := f.rotate(key, time.Minute)
	f.clock.Advance(time.Minute - time.Millisecond)
	graceEnd := rotated.GraceEnd(f.clock.Now())
	got, event := f.end(old)
	f.wantKey(got, rotated.EndGrace())
	f.wantKey(f.get(store.ByID(key.ID)), rotated.EndGrace())
	f.wantLeak(event, key, false, graceEnd)
	f.wantErr(second(f.EndSecret(f.ctx(), old)), store.ErrNotFound)

	// The current secret works as before, and can be ended too.
	_, event = f.end(finder(rotated))
	f.wantLeak(event, key, true, time.Time{})
}

func testEndNoSecret(f *fixture) {
	key := f.create("acme", "ci")
	rotatedOut, ended := f.create("acme", "rotated out"), f.create("acme", "grace ended")
	revoked, revokedInGrace := f.create("acme", "revoked"), f.create("acme", "revoked in grace")
	f.rotate(rotatedOut, 0)
	f.rotate(ended, time.Minute)
	f.rotate(revokedInGrace, time.Hour)
	f.revoke(store.ByID(revoked.ID))
	f.revoke(store.ByID(revokedInGrace.ID))
	f.clock.Advance(time.Minute)
	wrong, none := finder(key), finder(key)
	wrong.Secret, none.Secret = key.NewSecret().Hash(), apikey.Hash{}
	before, events := f.all(), len(f.events())

	for name, actor := range map[string]store.Actor{
		"a wrong secret":                  wrong,
		"another key's secret":            {Key: key.ID, Secret: revoked.SecretHash},
		"no secret":                       none,
		"a key that is unknown":           finder(f.draft("acme", "unknown")),
		"a secret that was rotated out":   finder(rotatedOut),
		"a secret whose grace ended":      finder(ended),
		"a revoked key":                   finder(revoked),
		"the old secret of a revoked key": finder(revokedInGrace),
		"nobody":                          {},
		"the operator":                    operator,
	} {
		if got, err := f.EndSecret(f.ctx(), actor); err == nil {
			f.Errorf("%s ended %s", name, got.Name)
		} else {
			f.wantErr(err, store.ErrNotFound)
		}
	}
	if diff := cmp.Diff(before, f.all()); diff != "" || len(f.events()) != events {
		f.Errorf("what ended nothing left a trace (-before +after):\n%s", diff)
	}
}

func testConcurrentEnds(f *fixture) {
	for round := range 5 {
		key := f.create("acme", fmt.Sprint("ci ", round))
		rotated := f.rotate(key, time.Minute)
		events := len(f.events())
		won := f.atOnce(16, store.ErrNotFound, func(i int) error {
			return second(f.EndSecret(f.ctx(), finder([]apikey.Key{key, rotated}[i%2])))
		})
		// The grace may end by itself or with the key.
		if got := len(f.events()) - events; won != got || won < 1 || won > 2 {
			f.Errorf("%d reports ended something, with %d events", won, got)
		}
		if got := f.get(store.ByID(key.ID)); !got.IsRevoked() || got.OldSecretHash != (apikey.Hash{}) {
			f.Error("the key is not revoked, or its grace goes on")
		}
	}
}
