package verify_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	"apikeyd/internal/usage"
	"apikeyd/store"
	"apikeyd/verify"
)

// count makes and counts a decision for an integrator's API.
func (f *fixture) count(v *verify.Verifier, secret string, want ...string) {
	f.Helper()
	result, err := v.Admit(f.Context(), secret, verify.Call{Scopes: want, Cost: 1})
	must(f, err)
	v.Count(result)
}

// wantUsage expects the sums of a usage.
func wantUsage(t *testing.T, what string, u usage.Usage, valid, refused int) {
	t.Helper()
	var sum usage.Count
	for _, c := range u.Counts {
		sum.Valid += c.Valid
		sum.Refused += c.Refused
	}
	if sum.Valid != valid || sum.Refused != refused {
		t.Errorf("%s: %d VALID and %d refused, want %d and %d", what, sum.Valid, sum.Refused, valid, refused)
	}
}

// Each decision is visible at once, whether keys are cached or not.
func TestUsageIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, size := range map[string]int{"remembered": 0, "not remembered": -1, "one at a time": 1} {
		v := verify.New(keycache.New(f.store, keycache.Options{Size: size, Now: f.clock.Now}), slog.New(slog.DiscardHandler), verify.Options{})
		key, secret := f.add(time.Hour, "a")
		other, otherSecret := f.add(time.Hour)
		for i := range 5 {
			f.count(v, secret.Reveal(), "a")
			wantUsage(t, name, v.KeyUsage(key.ID), i+1, i)
			f.count(v, secret.Reveal(), "b")
			wantUsage(t, name, v.KeyUsage(key.ID), i+1, i+1)
			f.count(v, otherSecret.Reveal())
			f.count(v, "no secret")
			f.count(v, apikey.NewSecret("ak", key.ID).Reveal()) // no key has it
			wantUsage(t, name+", the owner", v.Usage("team"), 2*(i+1), i+1)
			wantUsage(t, name+", all", v.Usage(""), 2*(i+1), 3*(i+1))
		}
		wantUsage(t, name+", the other", v.KeyUsage(other.ID), 5, 0)
		wantUsage(t, name+", nobody", v.Usage("nobody"), 0, 0)
		f.revoke(key.ID)
		f.count(v, secret.Reveal(), "a")
		wantUsage(t, name+", revoked", v.KeyUsage(key.ID), 5, 6)
		if _, err := v.Verify(t.Context(), otherSecret.Reveal(), verify.Call{}); err != nil { // authenticates with apikeyd itself
			t.Error(err)
		}
		wantUsage(t, name+", the other", v.KeyUsage(other.ID), 5, 0)
		if since := v.Usage("").Since; !since.Equal(f.clock.Now()) {
			t.Errorf("it counts since %s", since)
		}
	}
}

// Nothing is lost or counted twice while keys change, are evicted and metered, and readers see all earlier
// counts.
func TestUsageOfManyAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	v := verify.New(keycache.New(f.store, keycache.Options{Size: 3, Now: f.clock.Now}), slog.New(slog.DiscardHandler), verify.Options{})
	const callers, rounds = 4, 320
	keys, secrets := make([]apikey.Key, 8), make([]apikey.Secret, 8)
	for i := range keys {
		keys[i], secrets[i] = f.add(time.Hour)
	}
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := range rounds {
				result, err := v.Admit(f.Context(), secrets[(i+c)%len(secrets)].Reveal(), verify.Call{Cost: 1})
				if err != nil {
					t.Error(err)
					return
				}
				v.Count(result)
				switch i % 50 {
				case 10:
					v.Usage("")
				case 20:
					name := apikey.NewID().String() + " renamed"
					if _, err := f.store.UpdateKey(f.Context(), operator, store.ByID(keys[c].ID), apikey.Change{Name: &name}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	wantUsage(t, "all", v.Usage(""), callers*rounds, 0)
	for _, key := range keys {
		wantUsage(t, "a key", v.KeyUsage(key.ID), callers*rounds/len(keys), 0)
	}
}

// However often keys are evicted and read again, the number of entries that wait for Run is bounded.
func TestCountedEntriesAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	v := verify.New(keycache.New(f.store, keycache.Options{Size: 1, Now: f.clock.Now}), slog.New(slog.DiscardHandler), verify.Options{})
	one, oneSecret := f.add(time.Hour)
	other, otherSecret := f.add(time.Hour)
	const rounds = 11_000 // one key more than the cache holds
	most := 0
	for range rounds {
		f.count(v, oneSecret.Reveal())
		f.count(v, otherSecret.Reveal())
		most = max(most, v.Counted())
	}
	if most > 10_000 || v.Counted() > 2_000 {
		t.Errorf("%d entries had counts, %d at the end", most, v.Counted())
	}
	wantUsage(t, "one", v.KeyUsage(one.ID), rounds, 0)
	wantUsage(t, "the other", v.KeyUsage(other.ID), rounds, 0)
}

// Run meters counts, so they are at most ten seconds late.
func TestRunMeters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key, secret := f.add(48 * time.Hour)
	synctest.Test(t, func(t *testing.T) {
		uses := &ledger{Store: f.store}
		uses.refuse(store.ErrUnavailable) // which must not affect metering
		v := verify.New(keycache.New(uses, keycache.Options{Now: f.clock.Now}), slog.New(slog.DiscardHandler), verify.Options{})
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			v.Run(ctx)
			close(stopped)
		}()
		f.count(v, secret.Reveal())
		time.Sleep(keycache.FlushInterval)
		synctest.Wait()
		f.clock.Advance(3 * time.Hour)
		f.count(v, secret.Reveal())
		counts := v.KeyUsage(key.ID).Counts
		if counts[20].Valid != 1 || counts[23].Valid != 1 {
			t.Errorf("the counts are %v, want one three hours ago and one now", counts)
		}
		stop()
		<-stopped
	})
}
