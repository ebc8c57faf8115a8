package verify_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/verify"
)

// counting is a real store that counts reads of keys, and can run a function between reading a key and
// returning it.
type counting struct {
	store.Store
	asked   atomic.Int64
	between func()
}

func (c *counting) Key(ctx context.Context, ref store.Ref) (apikey.Key, error) {
	c.asked.Add(1)
	key, err := c.Store.Key(ctx, ref)
	if c.between != nil {
		c.between()
	}
	return key, err
}

// remembering is a fixture that counts its reads of the store.
type remembering struct {
	*fixture
	counted *counting
}

func newRemembering(t *testing.T, cacheSize int) *remembering {
	t.Helper()
	f := newFixture(t)
	r := &remembering{f, &counting{Store: f.store}}
	keys := keycache.New(r.counted, keycache.Options{Size: cacheSize, Now: f.clock.Now})
	f.verifier = verify.New(keys, slog.New(slog.DiscardHandler), verify.Options{})
	return r
}

// asks returns how often the store was read during f.
func (r *remembering) asks(f func()) int64 {
	before := r.counted.asked.Load()
	f()
	return r.counted.asked.Load() - before
}

func (r *remembering) wantCode(secret string, want verify.Code) {
	r.Helper()
	if got := r.verify(secret).Code; got != want {
		r.Errorf("code %s, want %s", got, want)
	}
}

// remember verifies a secret until that does not read the store any more: a store starts to extend trust
// a moment after it is opened.
func remember(t testing.TB, v *verify.Verifier, secret apikey.Secret) {
	t.Helper()
	for hits := v.Keys.Stats().Hits; v.Keys.Stats().Hits == hits; {
		if _, err := v.Verify(t.Context(), secret.Reveal(), verify.Call{}); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
}

func TestHitsDoNotAskTheStore(t *testing.T) {
	t.Parallel()
	r := newRemembering(t, 0)
	_, secret := r.add(time.Hour, "a")
	remember(t, r.verifier, secret)
	n := r.asks(func() {
		for range 100 {
			r.wantCode(secret.Reveal(), verify.Valid)
		}
	})
	if n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	// Nor do cached refused secrets, whether their id exists or not.
	wrong := apikey.NewSecret("ak", secret.ID())
	unknown := apikey.NewSecret("ak", apikey.NewID())
	for _, bad := range []apikey.Secret{wrong, unknown} {
		n := r.asks(func() {
			for range 10 {
				r.wantCode(bad.Reveal(), verify.NotFound)
			}
		})
		if n != 1 {
			t.Errorf("the store was asked %d times about a secret that is none", n)
		}
	}
	r.wantCode(secret.Reveal(), verify.Valid)
}

// Decisions about cached keys depend on the current time.
func TestRememberedKeysExpire(t *testing.T) {
	t.Parallel()
	r := newRemembering(t, 0)
	_, secret := r.add(200 * time.Millisecond)
	remember(t, r.verifier, secret)
	r.clock.Advance(200 * time.Millisecond)
	n := r.asks(func() { r.wantCode(secret.Reveal(), verify.Expired) })
	if n != 0 {
		t.Errorf("the store was asked %d times: this test shows nothing", n)
	}
}

func TestChangesAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	r := newRemembering(t, 0)
	key, secret := r.add(time.Hour, "a")
	ref := store.ByID(key.ID)
	again := func() { r.Helper(); remember(t, r.verifier, secret) }

	again()
	must(r, second(r.store.UpdateKey(t.Context(), operator, ref, apikey.Change{Scopes: &apikey.Scopes{"b"}})))
	if got := r.verify(secret.Reveal(), "a").Code; got != verify.InsufficientScope {
		t.Errorf("a scope that was taken away: %s", got)
	}

	again()
	must(r, second(r.store.UpdateKey(t.Context(), operator, ref, apikey.Change{Suspended: new(true)})))
	r.wantCode(secret.Reveal(), verify.Disabled)
	r.wantCode(secret.Reveal(), verify.Disabled) // and is cached
	must(r, second(r.store.UpdateKey(t.Context(), operator, ref, apikey.Change{Suspended: new(false)})))
	r.wantCode(secret.Reveal(), verify.Valid)

	again()
	next := key.NewSecret()
	r.wantCode(next.Reveal(), verify.NotFound) // and is cached as refused
	must(r, second(r.store.RotateKey(t.Context(), operator, ref,
		apikey.Rotation{From: key.SecretHash, To: next.Hash(), Grace: time.Minute})))
	r.wantCode(next.Reveal(), verify.Valid)
	again() // in its grace period
	third := key.NewSecret()
	must(r, second(r.store.RotateKey(t.Context(), operator, ref,
		apikey.Rotation{From: next.Hash(), To: third.Hash()})))
	r.wantCode(secret.Reveal(), verify.NotFound)
	r.wantCode(next.Reveal(), verify.NotFound)

	remember(t, r.verifier, third)
	must(r, second(r.store.EndSecret(t.Context(), store.Actor{Key: key.ID, Secret: third.Hash()})))
	r.wantCode(third.Reveal(), verify.Revoked)
}

func second[T any](_ T, err error) error { return err }

// A key that was read before its revocation must not be cached after it.
func TestOvertakenReaderKeepsNothing(t *testing.T) {
	t.Parallel()
	r := newRemembering(t, 0)
	_, other := r.add(time.Hour)
	remember(t, r.verifier, other) // so that hits count
	key, secret := r.add(time.Hour)
	r.counted.between = func() {
		must(r, second(r.store.RevokeKey(t.Context(), operator, store.ByID(key.ID), apikey.ReasonUnspecified)))
		r.counted.between = nil
	}
	r.wantCode(secret.Reveal(), verify.Valid) // it began before
	r.wantCode(secret.Reveal(), verify.Revoked)

	// The same for a secret that starts to exist in the meantime.
	late, lateSecret, err := apikey.Policy{}.NewKey(r.clock.Now(), apikey.Settings{
		Owner: "team", Name: "late", ExpiresAt: r.clock.Now().Add(time.Hour)})
	must(r, err)
	r.counted.between = func() {
		must(r, r.store.CreateKey(t.Context(), operator, late))
		r.counted.between = nil
	}
	r.wantCode(lateSecret.Reveal(), verify.NotFound)
	r.wantCode(lateSecret.Reveal(), verify.Valid)
}

// When another process's change of the file returns, no later verification is out of date.
func TestOtherProcess(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	db, beside := databasetest.Open(t, path), databasetest.OpenBeside(t, path)
	v := verify.New(keycache.New(db, keycache.Options{}), slog.New(slog.DiscardHandler), verify.Options{})
	for round := range 3 {
		key, secret := addKey(t, db, apikey.Settings{Name: fmt.Sprint(round)})
		remember(t, v, secret)
		var revoked atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for last := false; !last; {
					last = revoked.Load()
					result, err := v.Verify(t.Context(), secret.Reveal(), verify.Call{})
					if err != nil || last && result.Code != verify.Revoked {
						t.Errorf("after the revocation: %s, %v", result.Code, err)
					}
				}
			})
		}
		if _, err := beside.RevokeKey(t.Context(), operator, store.ByID(key.ID), apikey.ReasonUnspecified); err != nil {
			t.Error(err)
		}
		revoked.Store(true)
		wg.Wait()
	}
}

// deaf is a store that stops reporting to its watcher.
type deaf struct {
	store.Store
	watcher store.Watcher
}

func (d *deaf) Watch(w store.Watcher) { d.watcher = w }

func TestTrustEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, secret := f.add(time.Hour)
	d := &deaf{Store: &counting{Store: f.store}}
	asked := &d.Store.(*counting).asked
	v := verify.New(keycache.New(d, keycache.Options{Now: f.clock.Now}), slog.New(slog.DiscardHandler), verify.Options{})
	ask := func() int64 {
		before := asked.Load()
		if result, err := v.Verify(t.Context(), secret.Reveal(), verify.Call{}); err != nil || result.Code != verify.Valid {
			t.Fatal(result.Code, err)
		}
		return asked.Load() - before
	}
	ask()
	if ask() != 1 {
		t.Error("a cached key counts without trust")
	}
	d.watcher.Trust(f.clock.Now().Add(time.Second))
	if ask() != 0 {
		t.Error("a trusted key is not used")
	}
	f.clock.Advance(time.Second)
	if ask() != 1 {
		t.Error("a cached key counts after the end of trust")
	}
	d.watcher.Trust(f.clock.Now().Add(time.Second))
	if ask() != 0 {
		t.Error("it is not used again")
	}
	d.watcher.ChangedAll()
	if ask() != 1 {
		t.Error("it is used after everything may have changed")
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const size = 50
	r := newRemembering(t, size)
	_, first := r.add(time.Hour)
	remember(t, r.verifier, first)
	secrets := make([]apikey.Secret, 4*size)
	var adding sync.WaitGroup // concurrently, so that many share one wait for the disk
	for i := range secrets {
		adding.Go(func() { _, secrets[i] = r.add(time.Hour) })
	}
	adding.Wait()
	for _, secret := range secrets {
		r.wantCode(secret.Reveal(), verify.Valid)
		r.wantCode(apikey.NewSecret("ak", apikey.NewID()).Reveal(), verify.NotFound)
		if s := r.verifier.Keys.Stats(); s.Keys > size || s.Refused > size {
			t.Fatalf("%d keys and %d refused secrets are cached, want at most %d each", s.Keys, s.Refused, size)
		}
	}
	if s := r.verifier.Keys.Stats(); s.Keys < size*9/10 {
		t.Errorf("only %d keys are cached", s.Keys)
	}
	for _, secret := range secrets {
		r.wantCode(secret.Reveal(), verify.Valid)
	}
}

func TestNoCache(t *testing.T) {
	t.Parallel()
	r := newRemembering(t, -1)
	_, secret := r.add(time.Hour)
	n := r.asks(func() {
		for range 5 {
			r.wantCode(secret.Reveal(), verify.Valid)
			r.wantCode(apikey.NewSecret("ak", secret.ID()).Reveal(), verify.NotFound)
		}
	})
	if n != 10 {
		t.Errorf("the store was asked %d times, want 10", n)
	}
}
