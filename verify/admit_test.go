package verify_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/internal/ratelimit"
	"apikeyd/store"
	"apikeyd/verify"
)

// addLimited stores a key with a rate limit.
func (f *fixture) addLimited(limit int, window, lifetime time.Duration, scopes ...string) (apikey.Key, apikey.Secret) {
	f.Helper()
	key, secret := f.add(lifetime, scopes...)
	rate := apikey.RateLimit{Limit: limit, Window: window}
	return f.change(key.ID, apikey.Change{RateLimit: &rate}), secret
}

func (f *fixture) change(id apikey.ID, change apikey.Change) apikey.Key {
	f.Helper()
	key, err := f.store.UpdateKey(f.Context(), operator, store.ByID(id), change)
	must(f, err)
	return key
}

// rotate gives a key another secret.
func (f *fixture) rotate(id apikey.ID, grace time.Duration) (apikey.Key, apikey.Secret) {
	f.Helper()
	key := f.get(id)
	secret := key.NewSecret()
	key, err := f.store.RotateKey(f.Context(), operator, store.ByID(id),
		apikey.Rotation{From: key.SecretHash, To: secret.Hash(), Grace: grace})
	must(f, err)
	return key, secret
}

func (f *fixture) admit(secret string, want ...string) verify.Result {
	f.Helper()
	result, err := f.verifier.Admit(f.Context(), secret, verify.Call{Scopes: want, Cost: 1})
	must(f, err)
	return result
}

func (f *fixture) wantAdmitted(what string, secret apikey.Secret, want verify.Code) {
	f.Helper()
	if got := f.admit(secret.Reveal()).Code; got != want {
		f.Errorf("%s is %s, want %s", what, got, want)
	}
}

// If several codes apply, Verify and Admit return the first in their order.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const short, long = time.Hour, 24 * time.Hour
	limited := func(lifetime time.Duration) (apikey.Key, string) {
		key, secret := f.addLimited(1, 24*time.Hour, lifetime, "a")
		f.admit(secret.Reveal()) // uses up a day's limit
		return key, secret.Reveal()
	}
	_, valid := limited(long)
	_, expired := limited(short)
	suspendedKey, suspended := limited(short)
	f.change(suspendedKey.ID, apikey.Change{Suspended: new(true)})
	revokedKey, revoked := limited(long)
	bothKey, both := limited(short)
	f.revoke(revokedKey.ID)
	f.revoke(bothKey.ID)
	stranger := apikey.NewSecret("ak", bothKey.ID).Reveal()
	f.clock.Advance(short)

	const none, held, lacking = "", "a", "b"
	tests := []struct {
		name, secret, scope string
		admit, verify       verify.Code
	}{
		{"all at once, but the secret is another", stranger, lacking, verify.NotFound, verify.NotFound},
		{"revoked, expired, scope, rate", both, lacking, verify.Revoked, verify.Revoked},
		{"revoked, expired, rate", both, held, verify.Revoked, verify.Revoked},
		{"revoked, scope, rate", revoked, lacking, verify.Revoked, verify.Revoked},
		{"revoked, rate", revoked, none, verify.Revoked, verify.Revoked},
		{"suspended, expired, scope, rate", suspended, lacking, verify.Disabled, verify.Disabled},
		{"suspended, expired, rate", suspended, none, verify.Disabled, verify.Disabled},
		{"expired, scope, rate", expired, lacking, verify.Expired, verify.Expired},
		{"expired, rate", expired, held, verify.Expired, verify.Expired},
		{"scope, rate", valid, lacking, verify.InsufficientScope, verify.InsufficientScope},
		{"rate", valid, held, verify.RateLimited, verify.Valid},
		{"rate, no scope wanted", valid, none, verify.RateLimited, verify.Valid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fixture{T: t, verifier: f.verifier}
			var want []string
			if tt.scope != "" {
				want = []string{tt.scope}
			}
			if got := f.admit(tt.secret, want...).Code; got != tt.admit {
				t.Errorf("Admit says %s, want %s", got, tt.admit)
			}
			if got := f.verify(tt.secret, want...).Code; got != tt.verify {
				t.Errorf("Verify says %s, want %s", got, tt.verify)
			}
		})
	}
}

// Neither refusals nor calls of Verify count against the limit.
func TestOnlyAdmittedCallsCount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key, secret := f.addLimited(2, time.Hour, 24*time.Hour, "a")
	const many = 50
	for range many {
		f.verify(secret.Reveal())
		f.admit(secret.Reveal(), "lacking")
		f.admit(apikey.NewSecret("ak", key.ID).Reveal())
		f.admit(secret.Reveal()[1:])
	}
	state := f.admit(secret.Reveal(), "a").RateLimit
	if want := (ratelimit.State{Allowed: true, Remaining: 1, Reset: 30 * time.Minute}); state != want {
		t.Errorf("after the first the limit is at %+v, want %+v", state, want)
	}
	f.wantAdmitted("the second", secret, verify.Valid)
	must(f, f.verifier.Keys.Flush(t.Context()))
	lastUse := f.clock.Now()
	f.clock.Advance(time.Minute)
	for range many {
		result := f.admit(secret.Reveal(), "a")
		want := ratelimit.State{RetryAfter: 29 * time.Minute, Reset: 59 * time.Minute}
		if result.Code != verify.RateLimited || result.RateLimit != want {
			t.Fatalf("%s with the limit at %+v, want %+v", result.Code, result.RateLimit, want)
		}
	}
	// A call over the limit is not a use of the key.
	must(f, f.verifier.Keys.Flush(t.Context()))
	f.wantLastUsed(key.ID, lastUse)
	f.clock.Advance(29*time.Minute - time.Microsecond)
	f.wantAdmitted("a moment too early", secret, verify.RateLimited)
	f.clock.Advance(time.Microsecond)
	f.wantAdmitted("just in time", secret, verify.Valid)
	f.wantAdmitted("one more", secret, verify.RateLimited)
	must(f, f.verifier.Keys.Flush(t.Context()))
	f.wantLastUsed(key.ID, f.clock.Now())
}

func TestResultOfAdmit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	free, freeSecret := f.add(time.Hour, "a")
	limited, limitedSecret := f.addLimited(1, time.Minute, time.Hour, "a")
	minute := ratelimit.State{RetryAfter: time.Minute, Reset: time.Minute}
	passed := minute
	passed.Allowed = true
	for _, tt := range []struct {
		name   string
		secret apikey.Secret
		want   verify.Result
	}{
		{"a key without a limit", freeSecret, verify.Result{Code: verify.Valid, Key: &free, Hash: freeSecret.Hash()}},
		{"within the limit", limitedSecret,
			verify.Result{Code: verify.Valid, Key: &limited, Hash: limitedSecret.Hash(), RateLimit: passed}},
		{"over the limit", limitedSecret,
			verify.Result{Code: verify.RateLimited, Key: &limited, Hash: limitedSecret.Hash(), RateLimit: minute}},
		{"unknown", apikey.NewSecret("ak", apikey.NewID()), verify.Result{Code: verify.NotFound}},
	} {
		if diff := cmp.Diff(tt.want, f.admit(tt.secret.Reveal()), timeless); diff != "" {
			t.Errorf("%s: the result differs (-want +got):\n%s", tt.name, diff)
		}
	}
	for name, secret := range map[string]string{
		"empty": "", "not UTF-8": "\xff\x00", "a megabyte": strings.Repeat("a", 1<<20), "cut": freeSecret.Reveal()[1:],
	} {
		if got := f.admit(secret); got.Code != verify.NotFound || got.Key != nil || got.Hash != (apikey.Hash{}) {
			t.Errorf("%s: %s, key %v", name, got.Code, got.Key)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if result, err := f.verifier.Admit(ctx, freshly(f), verify.Call{Cost: 1}); !errors.Is(err, context.Canceled) || result.Code != "" {
		t.Errorf("without the store: %q, error %v", result.Code, err)
	}
}

// freshly returns a secret that the verifier has not seen.
func freshly(f *fixture) string {
	_, secret := f.add(time.Hour)
	return secret.Reveal()
}

func TestChangedLimitBeginsAnew(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key, secret := f.addLimited(1, time.Hour, 24*time.Hour)
	other, otherSecret := f.addLimited(1, time.Hour, 24*time.Hour)
	f.wantAdmitted("the first", secret, verify.Valid)
	f.wantAdmitted("the second", secret, verify.RateLimited)
	f.wantAdmitted("another key's", otherSecret, verify.Valid)
	f.change(key.ID, apikey.Change{RateLimit: &apikey.RateLimit{}})
	for range 3 {
		f.wantAdmitted("without a limit", secret, verify.Valid)
	}
	wider := apikey.RateLimit{Limit: 2, Window: time.Hour}
	f.change(key.ID, apikey.Change{RateLimit: &wider})
	f.wantAdmitted("the first of two", secret, verify.Valid)
	f.wantAdmitted("the second of two", secret, verify.Valid)
	f.wantAdmitted("the third of two", secret, verify.RateLimited)
	f.wantAdmitted("another key's second", otherSecret, verify.RateLimited)
	if !f.get(other.ID).LastUsedAt.IsZero() {
		t.Error("a verification cost a write")
	}
	// The limit is the key's, whatever its secret.
	_, secret = f.rotate(key.ID, time.Hour)
	f.wantAdmitted("another secret", secret, verify.RateLimited)
}

func TestSecretsOfARotatedKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key, first := f.add(24*time.Hour, "a")
	f.wantAdmitted("the first secret", first, verify.Valid)
	rotated, second := f.rotate(key.ID, time.Minute)
	for name, secret := range map[string]apikey.Secret{"old": first, "new": second} {
		for verb, ask := range map[string]func(string, ...string) verify.Result{"Verify": f.verify, "Admit": f.admit} {
			// The hash tells which of the two was presented.
			want := verify.Result{Code: verify.Valid, Key: &rotated, Hash: secret.Hash()}
			if diff := cmp.Diff(want, ask(secret.Reveal(), "a"), timeless); diff != "" {
				t.Errorf("%s of the %s secret differs (-want +got):\n%s", verb, name, diff)
			}
			want.Code = verify.InsufficientScope
			if diff := cmp.Diff(want, ask(secret.Reveal(), "b"), timeless); diff != "" {
				t.Errorf("%s of the %s secret without the scope differs (-want +got):\n%s", verb, name, diff)
			}
		}
	}
	f.clock.Advance(time.Minute - time.Nanosecond)
	f.wantAdmitted("the old secret, a moment before its end", first, verify.Valid)
	f.clock.Advance(time.Nanosecond)
	f.wantAdmitted("the old secret, at its end", first, verify.NotFound)
	f.wantAdmitted("the new secret", second, verify.Valid)

	_, third := f.rotate(key.ID, time.Hour)
	_, fourth := f.rotate(key.ID, time.Hour)
	f.wantAdmitted("the last but one, in what was its grace", second, verify.NotFound)
	f.wantAdmitted("the last", third, verify.Valid)
	_, fifth := f.rotate(key.ID, 0)
	f.wantAdmitted("one that was replaced without grace", fourth, verify.NotFound)
	f.wantAdmitted("the current", fifth, verify.Valid)
}

// Both secrets of a key get its decisions.
func TestGraceSecretOfAnEndedKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	expired, expiredOld := f.add(time.Minute)
	revoked, revokedOld := f.add(24 * time.Hour)
	f.rotate(expired.ID, time.Hour)
	f.rotate(revoked.ID, time.Hour)
	f.wantAdmitted("a grace secret", expiredOld, verify.Valid)
	f.revoke(revoked.ID)
	f.wantAdmitted("the grace secret of a revoked key", revokedOld, verify.Revoked)
	f.clock.Advance(time.Minute)
	// Its grace period was shortened to the key's expiry.
	f.wantAdmitted("the grace secret of an expired key", expiredOld, verify.NotFound)
	f.clock.Advance(time.Hour)
	f.wantAdmitted("the old secret of a revoked key", revokedOld, verify.NotFound)

	nearer, nearerOld := f.add(24 * time.Hour)
	f.rotate(nearer.ID, time.Hour)
	end := f.clock.Now().Add(time.Minute)
	f.change(nearer.ID, apikey.Change{ExpiresAt: &end})
	f.clock.Advance(time.Minute)
	f.wantAdmitted("the grace secret of a key that was shortened", nearerOld, verify.Expired)
}

// Of many concurrent calls exactly Limit pass, for each of two keys independently.
func TestExactUnderConcurrency(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const limit, callers, each = 100, 8, 50
	_, first := f.addLimited(limit, time.Hour, 24*time.Hour)
	_, second := f.addLimited(limit/2, time.Hour, 24*time.Hour)
	var passed, passedSecond, limited atomic.Int64
	var wg sync.WaitGroup
	count := func(secret string, passed *atomic.Int64) {
		switch result, err := f.verifier.Admit(t.Context(), secret, verify.Call{Cost: 1}); {
		case err != nil:
			t.Error(err)
		case result.Code == verify.Valid:
			passed.Add(1)
		case result.Code == verify.RateLimited:
			limited.Add(1)
		default:
			t.Errorf("%s", result.Code)
		}
	}
	for range callers {
		wg.Go(func() {
			for range each {
				count(first.Reveal(), &passed)
				count(second.Reveal(), &passedSecond)
			}
		})
	}
	wg.Wait()
	if passed.Load() != limit || passedSecond.Load() != limit/2 || limited.Load() != 2*callers*each-limit-limit/2 {
		t.Errorf("%d and %d passed, %d were limited", passed.Load(), passedSecond.Load(), limited.Load())
	}
}
