package verify_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	"apikeyd/store"
	"apikeyd/verify"
)

// asStored expects a key, and a page of its owner's keys, as in the store.
func (r *remembering) asStored(ref store.Ref) {
	r.Helper()
	want, wantErr := r.store.Key(r.Context(), ref)
	found, err := r.verifier.Keys.Key(r.Context(), ref)
	var got apikey.Key
	if found != nil {
		got = found.Whole()
	}
	if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, wantErr) {
		r.Errorf("key %+v differs (-want +got):\n%s\n%v, want %v", ref, diff, err, wantErr)
	}
	for _, q := range []store.Query{{Limit: 3}, {Owner: "team", Limit: 2, Offset: 1}, {Owner: "nobody", Limit: 2}} {
		want, err := r.store.Keys(r.Context(), q)
		must(r, err)
		page, err := r.verifier.Keys.Page(r.Context(), q)
		must(r, err)
		got := store.Page{Total: page.Total, More: page.More, Keys: []apikey.Key{}}
		for _, entry := range page.Entries {
			got.Keys = append(got.Keys, entry.Whole())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Errorf("page %+v differs (-want +got):\n%s", q, diff)
		}
	}
}

// Keys and pages match the store after every kind of change.
func TestKeysAreAsStored(t *testing.T) {
	t.Parallel()
	r := newRemembering(t, 0)
	key, secret := r.add(time.Hour, "a")
	other, _ := r.add(time.Hour)
	remember(t, r.verifier, secret)
	byID, byName := store.ByID(key.ID), store.ByName("team", key.Name)
	check := func() {
		r.Helper()
		for range 2 { // the second time from the cache
			for _, ref := range []store.Ref{byID, byName, {ID: key.ID, Owner: "another"}, store.ByName("team", "nobody"), store.ByName("another", key.Name)} {
				r.asStored(ref)
			}
		}
	}
	check()
	if n := r.asks(check); n == 0 || n > 8 { // only for absent keys
		t.Errorf("the store was asked %d times", n)
	}
	rename := func(id apikey.ID, name string) {
		must(r, second(r.store.UpdateKey(t.Context(), operator, store.ByID(id), apikey.Change{Name: &name})))
		check()
	}
	rename(key.ID, "moved")
	rename(other.ID, key.Name) // the old name is another key's now
	rename(other.ID, "away")
	rename(key.ID, key.Name)
	must(r, second(r.store.RevokeKey(t.Context(), operator, byID, apikey.ReasonUnspecified)))
	check()
	rename(other.ID, key.Name) // the name of a revoked key is free
	for i := range 4 {
		r.add(time.Duration(i+1) * time.Hour)
		check()
	}
	for _, suspended := range []bool{true, false, true, false} {
		r.changeOwner(apikey.OwnerChange{Suspended: &suspended})
		check()
		got, err := r.verifier.Keys.Key(t.Context(), byID)
		must(r, err)
		shown := string(got.AppendJSON([]byte("["), r.clock.Now()))
		for range 3 { // also by what was encoded before
			if got, err = r.verifier.Keys.Key(t.Context(), store.ByID(other.ID)); err != nil || (got.Key.Status(r.clock.Now()) == apikey.StatusRevoked) != suspended ||
				strings.Contains(string(got.AppendJSON([]byte("["), r.clock.Now())), `"status":"REVOKED"`) != suspended {
				r.Errorf("suspended: %t; the key is %+v, %v, %s", suspended, got, err, shown)
			}
		}
	}
	r.clock.Advance(time.Second)
	must(r, second(r.verifier.Verify(t.Context(), secret.Reveal(), verify.Call{})))
	check() // with a use that was not written yet
	must(r, r.verifier.Keys.Flush(t.Context()))
	check()
}

// A result has the store's last use, however long the key is cached.
func TestResultsTellTheLastUse(t *testing.T) {
	t.Parallel()
	r := newRemembering(t, 0)
	_, secret := r.add(time.Hour)
	remember(t, r.verifier, secret)
	r.clock.Advance(100 * time.Millisecond)
	at := r.clock.Now()
	if got := r.verify(secret.Reveal()); !got.Entry.Whole().LastUsedAt.IsZero() || !got.At.Equal(at) {
		t.Errorf("used %s at %s", got.Entry.Whole().LastUsedAt, got.At)
	}
	must(r, r.verifier.Keys.Flush(t.Context()))
	r.clock.Advance(100 * time.Millisecond)
	if got := r.verify(secret.Reveal()).Entry.Whole().LastUsedAt; !got.Equal(at) {
		t.Errorf("used %s, want %s", got, at)
	}
}

// A reader from before a flush of last uses does not hide them.
func TestFlushOvertakesAReader(t *testing.T) {
	t.Parallel()
	r := newRemembering(t, 0)
	key, secret := r.add(time.Hour)
	remember(t, r.verifier, secret)
	must(r, second(r.verifier.Verify(t.Context(), secret.Reveal(), verify.Call{})))
	name := "renamed"
	must(r, second(r.store.UpdateKey(t.Context(), operator, store.ByID(key.ID), apikey.Change{Name: &name})))
	r.counted.between = func() {
		r.counted.between = nil
		must(r, r.verifier.Keys.Flush(t.Context()))
	}
	must(r, second(r.verifier.Keys.Key(t.Context(), store.ByID(key.ID)))) // it began before
	r.asStored(store.ByID(key.ID))
}

// While the store cannot be written, last uses take memory per key, not per use.
func TestUsesAreKeptByKey(t *testing.T) {
	t.Parallel()
	r := newRemembering(t, -1)
	refusing := &ledger{Store: r.store}
	refusing.refuse(store.ErrUnavailable)
	v := verify.New(keycache.New(refusing, keycache.Options{Size: -1, Now: r.clock.Now}), slog.New(slog.DiscardHandler), verify.Options{})
	_, secret := r.add(time.Hour)
	for range 100 {
		for range 10 {
			must(r, second(v.Verify(t.Context(), secret.Reveal(), verify.Call{})))
		}
		if v.Keys.Flush(t.Context()) == nil {
			t.Fatal("the uses were written")
		}
	}
	if n := v.Keys.Stats().UnsavedUses; n != 1 {
		t.Errorf("%d uses of one key are kept", n)
	}
}
