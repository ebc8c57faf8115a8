package storetest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

func testRoundTrip(f *fixture) {
	want := f.create("acme", "ключ/%2F 🙂", apikey.ScopeRead, "datasets:read")
	f.wantKey(f.get(store.ByID(want.ID)), want)
	none := f.create("acme", "no scopes")
	f.wantKey(f.get(store.ByID(none.ID)), none)
	longest := f.create(strings.Repeat("ы", 255), strings.Repeat("🙂", 255))
	f.wantKey(f.get(store.ByID(longest.ID)), longest)
}

func testLookUp(f *fixture) {
	key := f.create("acme", "ci")
	f.wantKey(f.get(store.ByName("acme", "ci")), key)
	f.wantKey(f.get(store.Ref{ID: key.ID, Owner: "acme"}), key)
	for _, ref := range []store.Ref{
		{ID: key.ID, Owner: "other"},
		store.ByID(apikey.NewID()),
		store.ByName("other", "ci"),
		store.ByName("acme", "CI"),
		store.ByName("acme", ""),
		{},
	} {
		_, err := f.Key(f.ctx(), ref)
		f.wantErr(err, store.ErrNotFound)
		_, err = f.rename(operator, ref, "x")
		f.wantErr(err, store.ErrNotFound)
		_, err = f.RevokeKey(f.ctx(), operator, ref, apikey.ReasonUnspecified)
		f.wantErr(err, store.ErrNotFound)
	}
}

func testNames(f *fixture) {
	first := f.create("acme", "ci")
	f.wantErr(f.CreateKey(f.ctx(), operator, f.draft("acme", "ci")), store.ErrNameTaken)
	f.create("other", "ci")

	other := f.create("acme", "cd")
	_, err := f.rename(operator, store.ByID(other.ID), "ci")
	f.wantErr(err, store.ErrNameTaken)

	// An expired key still holds its name; a revoked one does not.
	f.clock.Advance(2 * time.Hour)
	f.wantErr(f.CreateKey(f.ctx(), operator, f.draft("acme", "ci")), store.ErrNameTaken)
	first = f.revoke(store.ByID(first.ID))
	f.wantKey(f.get(store.ByName("acme", "ci")), first)

	second := f.create("acme", "ci")
	f.wantKey(f.get(store.ByName("acme", "ci")), second)

	// Two keys with one name that were revoked within one millisecond do not clash, and a
	// look-up finds the later one.
	f.clock.Advance(time.Millisecond)
	second = f.revoke(store.ByID(second.ID))
	third := f.create("acme", "ci")
	third = f.revoke(store.ByID(third.ID))
	f.wantKey(f.get(store.ByName("acme", "ci")), third)
	f.wantKey(f.get(store.ByID(second.ID)), second)
}

func testNameBytes(f *fixture) {
	// The same letter, composed and decomposed; case; a trailing full stop; wildcards.
	names := []string{"\u00e9", "e\u0301", "a", "A", "a.", "%", "_", "a/b", "a%2Fb", "100%", "a b"}
	for _, name := range names {
		f.create("acme", name)
	}
	for _, name := range names {
		if got := f.get(store.ByName("acme", name)).Name; got != name {
			f.Errorf("looking for %q found %q", name, got)
		}
	}
}

func testConcurrentCreates(f *fixture) {
	won := f.atOnce(16, store.ErrNameTaken, func(int) error {
		return f.CreateKey(f.ctx(), operator, f.draft("acme", "ci"))
	})
	if won != 1 {
		f.Errorf("%d creates won the name", won)
	}
}

func testConcurrentRenames(f *fixture) {
	const keys = 16
	var refs []store.Ref
	for i := range keys {
		refs = append(refs, store.ByID(f.create("acme", numbered(i)).ID))
	}
	won := f.atOnce(keys, store.ErrNameTaken, func(i int) error {
		_, err := f.rename(operator, refs[i], "ci")
		return err
	})
	if won != 1 {
		f.Errorf("%d renames won the name", won)
	}
}

func testUpdate(f *fixture) {
	key := f.create("acme", "ci", apikey.ScopeRead)
	ref := store.ByName("acme", "ci")

	same, err := f.UpdateKey(f.ctx(), operator, ref, apikey.Change{})
	f.must(err)
	f.wantKey(same, key)
	same, err = f.rename(operator, ref, "ci")
	f.must(err)
	f.wantKey(same, key)

	name, end, scopes := "cd", key.ExpiresAt.Add(time.Hour), apikey.Scopes{"a", "b"}
	changed, err := f.UpdateKey(f.ctx(), operator, ref,
		apikey.Change{Name: &name, ExpiresAt: &end, Scopes: &scopes})
	f.must(err)
	key.Name, key.ExpiresAt, key.Scopes = name, end, scopes
	f.wantKey(changed, key)
	f.wantKey(f.get(store.ByName("acme", "cd")), key)
	_, err = f.Key(f.ctx(), ref)
	f.wantErr(err, store.ErrNotFound)
}

func testProlong(f *fixture) {
	key := f.create("acme", "ci")
	f.clock.Advance(time.Hour)
	expired := f.get(store.ByID(key.ID))
	if got := expired.Status(f.clock.Now()); got != apikey.StatusExpired {
		f.Errorf("status at the very end is %s", got)
	}
	end := f.clock.Now().Add(time.Hour)
	prolonged, err := f.UpdateKey(f.ctx(), operator, store.ByID(key.ID), apikey.Change{ExpiresAt: &end})
	f.must(err)
	if got := prolonged.Status(f.clock.Now()); got != apikey.StatusActive {
		f.Errorf("status after prolonging is %s", got)
	}
}

func testUpdateRevoked(f *fixture) {
	key := f.create("acme", "ci")
	revoked := f.revoke(store.ByID(key.ID))
	_, err := f.rename(operator, store.ByID(key.ID), "cd")
	f.wantErr(err, store.ErrRevoked)
	_, err = f.UpdateKey(f.ctx(), operator, store.ByID(key.ID), apikey.Change{})
	f.wantErr(err, store.ErrRevoked)
	f.wantKey(f.get(store.ByID(key.ID)), revoked)
}

func testRevokeTwice(f *fixture) {
	key := f.create("acme", "ci")
	first := f.revoke(store.ByID(key.ID))
	if !first.RevokedAt.Equal(f.clock.Now()) {
		f.Errorf("revoked at %s, want %s", first.RevokedAt, f.clock.Now())
	}
	f.clock.Advance(time.Minute)
	f.wantKey(f.revoke(store.ByName("acme", "ci")), first)
	f.wantKey(f.get(store.ByID(key.ID)), first)
}

func testRecordUses(f *fixture) {
	used, unused := f.create("acme", "used"), f.create("acme", "unused")
	at := f.clock.Now().Add(time.Second)
	f.must(f.RecordUses(f.ctx(), nil))
	f.must(f.RecordUses(f.ctx(), []store.Use{{Key: used.ID, LastUsedAt: at}, {Key: apikey.NewID(), LastUsedAt: at}}))
	f.must(f.RecordUses(f.ctx(), []store.Use{{Key: used.ID, LastUsedAt: at.Add(-time.Millisecond)}}))
	if got := f.get(store.ByID(used.ID)).LastUsedAt; !got.Equal(at) {
		f.Errorf("last used at %s, want %s", got, at)
	}
	f.wantKey(f.get(store.ByID(unused.ID)), unused)

	// Many at once, among them later ones, earlier ones and unknown ids.
	var uses []store.Use
	want := make(map[apikey.ID]time.Time)
	for i := range 100 {
		id := f.create("acme", fmt.Sprint("key ", i)).ID
		uses = append(uses, store.Use{Key: apikey.NewID(), LastUsedAt: at}, store.Use{Key: id, LastUsedAt: at})
		want[id] = at
	}
	f.must(f.RecordUses(f.ctx(), uses))
	n := 0
	uses = nil
	for id := range want {
		use := store.Use{Key: id, LastUsedAt: at.Add(-time.Second)}
		if n++; n%2 == 0 {
			use.LastUsedAt = at.Add(time.Second)
			want[id] = use.LastUsedAt
		}
		uses = append(uses, use)
	}
	f.must(f.RecordUses(f.ctx(), uses))
	for id, at := range want {
		if got := f.get(store.ByID(id)).LastUsedAt; !got.Equal(at) {
			f.Errorf("last used at %s, want %s", got, at)
		}
	}
}

func testCancelled(f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx())
	cancel()
	key := f.draft("acme", "ci")
	f.wantErr(f.CreateKey(ctx, operator, key), context.Canceled)
	other := f.create("acme", "other")
	for range 50 { // a random order would be noticed
		f.wantErr(f.RecordUses(ctx, []store.Use{{Key: other.ID, LastUsedAt: f.clock.Now()}}), context.Canceled)
	}
	f.wantKey(f.get(store.ByID(other.ID)), other)
	_, err := f.Key(ctx, store.ByID(key.ID))
	f.wantErr(err, context.Canceled)
	_, err = f.Key(f.ctx(), store.ByID(key.ID))
	f.wantErr(err, store.ErrNotFound)
}

func testPing(f *fixture) { f.must(f.Ping(f.ctx())) }
