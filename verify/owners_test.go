package verify_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/quota"
	"apikeyd/store"
	"apikeyd/verify"
)

// changeOwner changes the owner of the fixture's keys.
func (f *fixture) changeOwner(change apikey.OwnerChange) {
	f.Helper()
	_, err := f.store.UpdateOwner(f.Context(), operator, "team", change)
	must(f, err)
}

// A suspension of an owner is in force when the store has answered, and ends as fast.
func TestSuspendedOwner(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, secret := f.add(2*time.Hour, "a")
	_, expired := f.add(time.Minute)
	revokedKey, revoked := f.add(time.Hour)
	f.revoke(revokedKey.ID)
	f.clock.Advance(time.Minute)
	for round := range 3 {
		f.wantAdmitted("before", secret, verify.Valid)
		f.changeOwner(apikey.OwnerChange{Suspended: new(true), Metadata: &apikey.Metadata{"round": fmt.Sprint(round)}})
		f.wantAdmitted("a key of a suspended owner", secret, verify.Disabled)
		if got := f.verify(secret.Reveal(), "b").Code; got != verify.Disabled {
			t.Errorf("for our own API it is %s", got)
		}
		f.wantAdmitted("an expired one", expired, verify.Disabled)
		f.wantAdmitted("a revoked one", revoked, verify.Revoked)
		f.changeOwner(apikey.OwnerChange{Suspended: new(false)})
	}
	f.wantAdmitted("afterwards", secret, verify.Valid)
	f.wantAdmitted("an expired one", expired, verify.Expired)
}

// What verify answers about a key is what its owner is at the decision, whatever it was when the key was read.
func TestSuspensionOvertakesAReader(t *testing.T) {
	t.Parallel()
	r := newRemembering(t, 0)
	for _, suspended := range []bool{true, false} {
		_, secret := r.add(time.Hour)
		_, ended := r.add(time.Minute)
		r.clock.Advance(time.Minute)
		for secret, otherwise := range map[apikey.Secret]verify.Code{secret: verify.Valid, ended: verify.Expired} {
			r.changeOwner(apikey.OwnerChange{Suspended: new(!suspended)})
			r.counted.between = func() {
				r.counted.between = nil
				r.changeOwner(apikey.OwnerChange{Suspended: &suspended})
			}
			want, status := otherwise, map[verify.Code]apikey.Status{verify.Valid: apikey.StatusActive, verify.Expired: apikey.StatusExpired}[otherwise]
			if suspended {
				want, status = verify.Disabled, apikey.StatusRevoked
			}
			got := r.verify(secret.Reveal())
			if shown := got.Key.Status(got.At); got.Code != want || shown != status {
				t.Errorf("suspended: %t; the code is %s and the key %s, want %s and %s", suspended, got.Code, shown, want, status)
			}
			if whole := got.Entry.Whole(); whole.Status(got.At) != status {
				t.Errorf("suspended: %t; the entry is %s", suspended, whole.Status(got.At))
			}
		}
	}
}

// An owner's networks and a key's own must both contain the address, and are in force when the store has answered.
func TestOwnersNetworks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, secret := f.add(time.Hour, "a")
	for range 2 {
		for network, want := range map[string]verify.Code{"192.0.2.0/24": verify.Valid, "198.51.100.0/24": verify.AddressNotAllowed, "": verify.Valid} {
			f.changeOwner(apikey.OwnerChange{AllowedCIDRs: new(apikey.ParseCIDRs(strings.Fields(network)))})
			got, err := f.verifier.Admit(t.Context(), secret.Reveal(), verify.Call{From: netip.MustParseAddr("192.0.2.7")})
			must(t, err)
			if got.Code != want {
				t.Errorf("with the owner's network %q the code is %s, want %s", network, got.Code, want)
			}
		}
	}
}

// Another process changes an owner beside the server: the next look at the file finds it.
func TestOwnersAreCached(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, secret := f.add(time.Hour)
	f.wantAdmitted("without any settings", secret, verify.Valid)
	if n := f.verifier.Keys.Owners(); n != 0 {
		t.Errorf("%d owners are cached, though none has settings", n)
	}
	_, err := f.store.UpdateOwner(t.Context(), operator, "other", apikey.OwnerChange{Suspended: new(true)})
	must(t, err)
	f.wantAdmitted("beside another suspended owner", secret, verify.Valid)
	if n := f.verifier.Keys.Owners(); n != 1 {
		t.Errorf("%d owners are cached, want the one without settings", n)
	}
	f.changeOwner(apikey.OwnerChange{Metadata: &apikey.Metadata{"a": "b"}})
	if r := f.admit(secret.Reveal()); r.Owner == nil || r.Owner.Metadata["a"] != "b" {
		t.Errorf("the owner is %+v", r.Owner)
	}
	f.verifier.Keys.ChangedAll()
	if n := f.verifier.Keys.Owners(); n != 0 {
		t.Errorf("%d owners are cached after any may have changed", n)
	}
	f.wantAdmitted("afterwards", secret, verify.Valid)
}

// The owner's quota bounds the sum, the key's own the key; a refused call uses up nothing.
func TestOwnersQuota(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a, secretA := f.add(time.Hour)
	_, secretB := f.add(time.Hour)
	day := func(limit int) *apikey.Quota { return &apikey.Quota{Limit: limit, Period: apikey.Day, StartsOn: 1} }
	f.changeOwner(apikey.OwnerChange{Quota: day(5)})
	f.change(a.ID, apikey.Change{Quota: day(3)})
	for i, want := range []struct {
		secret      apikey.Secret
		code        verify.Code
		own, owners int // remaining; negative if it was not counted
		least       int
	}{
		{secretA, verify.Valid, 2, 4, 2}, {secretA, verify.Valid, 1, 3, 1}, {secretA, verify.Valid, 0, 2, 0},
		{secretA, verify.QuotaExceeded, 0, -1, 0}, {secretB, verify.Valid, -1, 1, 1}, {secretB, verify.Valid, -1, 0, 0},
		{secretB, verify.QuotaExceeded, -1, 0, 0},
	} {
		r := f.admit(want.secret.Reveal())
		left := func(s quota.State) int {
			if s == (quota.State{}) {
				return -1
			}
			return s.Remaining
		}
		if r.Code != want.code || left(r.Quota) != want.own || left(r.OwnerQuota) != want.owners || left(r.LeastQuota()) != want.least {
			t.Errorf("call %d: %s, %d and %d left, the least is %d; want %+v", i, r.Code, left(r.Quota), left(r.OwnerQuota),
				left(r.LeastQuota()), want)
		}
	}
	// The owner refuses, so the key's units stay.
	f.change(a.ID, apikey.Change{Quota: day(9)})
	for range 3 {
		r := f.admit(secretA.Reveal())
		if r.Code != verify.QuotaExceeded || r.Quota.Remaining != 6 || !r.Quota.Allowed || r.LeastQuota().Remaining != 0 || r.RetryAfter() <= 0 {
			t.Errorf("refused by the owner's quota: %+v", r)
		}
	}
	f.changeOwner(apikey.OwnerChange{Quota: &apikey.Quota{}})
	if r := f.admit(secretA.Reveal()); r.Code != verify.Valid || r.Quota.Remaining != 5 || r.OwnerQuota != (quota.State{}) {
		t.Errorf("without the owner's quota: %+v", r)
	}
}

// The owner's rate limit bounds the sum, on one node and with a budget that nodes share.
func TestOwnersRateLimit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a, secretA := f.addLimited(2, time.Hour, 2*time.Hour)
	_, secretB := f.add(2 * time.Hour)
	f.changeOwner(apikey.OwnerChange{
		RateLimit: &apikey.RateLimit{Limit: 3, Window: time.Hour}, Quota: &apikey.Quota{Limit: 100, Period: apikey.Day, StartsOn: 1},
	})
	f.wantAdmitted("the first", secretA, verify.Valid)
	f.wantAdmitted("the second", secretA, verify.Valid)
	r := f.admit(secretA.Reveal())
	if r.Code != verify.RateLimited || r.RateLimit.Allowed || r.RetryAfter() != 30*time.Minute || r.OwnerQuota.Remaining != 98 {
		t.Errorf("over the key's own limit: %+v", r)
	}
	f.wantAdmitted("another key", secretB, verify.Valid)
	for range 3 {
		r := f.admit(secretB.Reveal())
		if r.Code != verify.RateLimited || r.OwnerRateLimit.Allowed || r.RetryAfter() != 20*time.Minute || r.OwnerQuota.Remaining != 97 {
			t.Errorf("over the owner's limit: %+v", r)
		}
	}
	// The owner refuses, so the key's call is returned.
	f.change(a.ID, apikey.Change{RateLimit: &apikey.RateLimit{Limit: 1, Window: time.Hour}})
	for range 3 {
		r := f.admit(secretA.Reveal())
		if r.Code != verify.RateLimited || !r.RateLimit.Allowed || r.RateLimit.Remaining != 1 || r.RetryAfter() != 20*time.Minute {
			t.Errorf("over the owner's limit alone: %+v", r)
		}
	}
	f.changeOwner(apikey.OwnerChange{RateLimit: &apikey.RateLimit{}})
	f.wantAdmitted("without the owner's limit", secretA, verify.Valid)
	f.wantAdmitted("but with its own", secretA, verify.RateLimited)
}

// A reader that reads an owner while it changes must not cache what it was.
func TestOwnerChangesWhileRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, secret := f.add(time.Hour)
	for round := range 200 {
		suspended := round%2 == 0
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for range 5 {
					if _, err := f.verifier.Verify(t.Context(), secret.Reveal(), verify.Call{}); err != nil && !errors.Is(err, store.ErrUnavailable) {
						t.Error(err)
					}
				}
			})
		}
		f.changeOwner(apikey.OwnerChange{Suspended: &suspended})
		want := map[bool]verify.Code{true: verify.Disabled, false: verify.Valid}[suspended]
		f.wantAdmitted("after the change", secret, want)
		readers.Wait()
		f.wantAdmitted("after all reads", secret, want)
	}
}
