package verify_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	"apikeyd/store"
	"apikeyd/verify"
)

// count makes and counts a decision for an integrator's API.
func (f *fixture) count(v *verify.Verifier, secret string, want ...string) {
	f.Helper()
	_, err := v.Admit(f.Context(), secret, verify.Call{Scopes: want, Cost: 1})
	must(f, err)
}

// usageOf returns the counts of the last day by the hour, of the last hour by the minute, or of two days.
func usageOf(t *testing.T, v *verify.Verifier, subject store.Subject, interval time.Duration) keycache.Usage {
	t.Helper()
	intervals := map[time.Duration]time.Duration{time.Minute: 60, store.Hour: 24, store.Day: 2}[interval]
	to := v.Keys.Now().Truncate(interval).Add(interval)
	u, err := v.Keys.Usage(t.Context(), store.UsageQuery{Subject: subject, From: to.Add(-intervals * interval), To: to, Interval: interval})
	must(t, err)
	if len(u.Counts) != int(intervals) {
		t.Errorf("there are %d intervals, want %d", len(u.Counts), intervals)
	}
	return u
}

// wantUsage expects the sums of a subject's counts, whatever the interval.
func wantUsage(t *testing.T, what string, v *verify.Verifier, subject store.Subject, valid, refused int) {
	t.Helper()
	for _, interval := range []time.Duration{time.Minute, store.Hour, store.Day} {
		var sum store.Counts
		for _, c := range usageOf(t, v, subject, interval).Counts {
			sum.Add(c.Counts)
		}
		if sum.Valid() != int64(valid) || sum.Refused() != int64(refused) {
			t.Errorf("%s, by the %s: %d VALID and %d refused, want %d and %d", what, interval, sum.Valid(), sum.Refused(), valid, refused)
		}
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
			wantUsage(t, name, v, store.Subject{Key: key.ID}, i+1, i)
			f.count(v, secret.Reveal(), "b")
			wantUsage(t, name, v, store.Subject{Key: key.ID}, i+1, i+1)
			f.count(v, otherSecret.Reveal())
			f.count(v, "no secret")
			f.count(v, apikey.NewSecret("ak", key.ID).Reveal()) // no key has it
			wantUsage(t, name+", the owner", v, store.Subject{Owner: "team"}, 2*(i+1), i+1)
			wantUsage(t, name+", all", v, store.Subject{}, 2*(i+1), 3*(i+1))
		}
		wantUsage(t, name+", the other", v, store.Subject{Key: other.ID}, 5, 0)
		wantUsage(t, name+", nobody", v, store.Subject{Owner: "nobody"}, 0, 0)
		f.revoke(key.ID)
		f.count(v, secret.Reveal(), "a")
		wantUsage(t, name+", revoked", v, store.Subject{Key: key.ID}, 5, 6)
		if _, err := v.Verify(t.Context(), otherSecret.Reveal(), verify.Call{}); err != nil { // authenticates with apikeyd itself
			t.Error(err)
		}
		wantUsage(t, name+", the other", v, store.Subject{Key: other.ID}, 5, 0)
		if since := usageOf(t, v, store.Subject{}, store.Hour).Since; !since.Equal(f.clock.Now()) {
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
				_, err := v.Admit(f.Context(), secrets[(i+c)%len(secrets)].Reveal(), verify.Call{Cost: 1})
				if err != nil {
					t.Error(err)
					return
				}
				switch i % 50 {
				case 10:
					usageOf(t, v, store.Subject{}, store.Day)
				case 30, 40:
					must(t, v.Keys.Flush(f.Context()))
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
	wantUsage(t, "all", v, store.Subject{}, callers*rounds, 0)
	for _, key := range keys {
		wantUsage(t, "a key", v, store.Subject{Key: key.ID}, callers*rounds/len(keys), 0)
	}
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
		counts := usageOf(t, v, store.Subject{Key: key.ID}, store.Hour).Counts
		if counts[20].Counts.Valid() != 1 || counts[23].Counts.Valid() != 1 {
			t.Errorf("the counts are %v, want one three hours ago and one now", counts)
		}
		stop()
		<-stopped
	})
}

// Hours and days are those of all nodes, whatever a node has not written yet, and outlive a node.
func TestUsageOfNodes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	node := func() *verify.Verifier {
		return verify.New(keycache.New(f.store, keycache.Options{Now: f.clock.Now}), slog.New(slog.DiscardHandler), verify.Options{})
	}
	a, b := node(), node()
	key, secret := f.add(48*time.Hour, "a")
	sum := func(v *verify.Verifier, interval time.Duration) (sum store.Counts) {
		for _, c := range usageOf(t, v, store.Subject{Key: key.ID}, interval).Counts {
			sum.Add(c.Counts)
		}
		return sum
	}
	for range 3 {
		f.count(a, secret.Reveal())
		f.count(b, secret.Reveal(), "b")
	}
	must(t, a.Keys.Flush(t.Context()))
	f.count(a, secret.Reveal())
	f.clock.Advance(2 * time.Hour)
	f.count(b, secret.Reveal())
	c := node()
	for _, interval := range []time.Duration{store.Hour, store.Day} {
		if got := [3]int64{sum(a, interval).Valid(), sum(b, interval).Valid(), sum(c, interval).Valid()}; got != [3]int64{4, 4, 3} {
			t.Errorf("by the %s, the nodes count %v", interval, got)
		}
	}
	must(t, a.Keys.Flush(t.Context()))
	must(t, b.Keys.Flush(t.Context()))
	d := node()
	for _, v := range []*verify.Verifier{a, b, c, d} {
		if got := sum(v, store.Hour); got.Valid() != 5 || got.Refused() != 3 {
			t.Errorf("a node counts %v", got)
		}
	}
	if since := usageOf(t, d, store.Subject{}, store.Hour).Since; !since.Equal(f.clock.Now().Add(-2 * time.Hour).Truncate(time.Hour)) {
		t.Errorf("hours since %s", since)
	}
}

// What cannot be written waits, in its hour. What may have been written is not written again.
func TestUsageThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	uses := &ledger{Store: f.store, pass: true}
	v := verify.New(keycache.New(uses, keycache.Options{Now: f.clock.Now}), slog.New(slog.DiscardHandler), verify.Options{})
	key, secret := f.add(48*time.Hour, "a", "b")
	from := netip.MustParseAddr("203.0.113.7")
	use := func(from netip.Addr, scopes ...string) {
		t.Helper()
		_, err := v.Admit(t.Context(), secret.Reveal(), verify.Call{Scopes: scopes, Cost: 1, From: from})
		must(t, err)
	}
	f.clock.Advance(45 * time.Minute)
	use(from, "a")
	f.count(v, "no secret")
	uses.refuse(store.ErrUnavailable)
	if err := v.Keys.Flush(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
	f.clock.Advance(30 * time.Minute)
	use(netip.Addr{}, "b")
	if v.Keys.Flush(t.Context()) == nil {
		t.Error("it was written")
	}
	wantUsage(t, "what waits", v, store.Subject{}, 2, 1)
	uses.refuse(nil)
	must(t, v.Keys.Flush(t.Context()))
	wantUsage(t, "what was written", v, store.Subject{}, 2, 1)
	hours, err := f.store.CountedUses(t.Context(), store.UsageQuery{
		Subject: store.Subject{Key: key.ID}, From: f.clock.Now().Add(-2 * time.Hour), To: f.clock.Now().Add(1), Interval: store.Hour,
	})
	if err != nil || len(hours) != 2 || hours[0].Counts.Valid() != 1 || hours[1].Counts.Valid() != 1 {
		t.Errorf("the hours are %+v, %v", hours, err)
	}
	seen, err := f.store.Seen(t.Context(), key.ID, f.clock.Now())
	must(t, err)
	var values []string
	for _, s := range seen {
		values = append(values, s.Value)
	}
	if diff := cmp.Diff([]string{"a", "b", "203.0.113.0/24"}, values); diff != "" {
		t.Errorf("what was seen differs (-want +got):\n%s", diff)
	}
	if got := f.get(key.ID); got.LastUsedFrom != "" || !got.LastUsedAt.Equal(f.clock.Now()) {
		t.Errorf("last used from %q at %s", got.LastUsedFrom, got.LastUsedAt)
	}

	use(from)
	uses.refuse(store.ErrUncertain)
	if v.Keys.Flush(t.Context()) == nil {
		t.Error("it was written")
	}
	uses.refuse(nil)
	must(t, v.Keys.Flush(t.Context()))
	sum := store.Counts{}
	for _, c := range usageOf(t, v, store.Subject{}, store.Hour).Counts {
		sum.Add(c.Counts)
	}
	if sum.Valid() != 2 || v.Keys.Stats().LostUses != 1 {
		t.Errorf("after an unknown outcome %d are VALID, and %d lost", sum.Valid(), v.Keys.Stats().LostUses)
	}
}

// Only VALID calls show scopes and networks of a key.
func TestSeen(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	v := verify.New(keycache.New(f.store, keycache.Options{Now: f.clock.Now}), slog.New(slog.DiscardHandler), verify.Options{})
	key, secret := f.add(time.Hour, "a", "b", apikey.ScopeAdmin)
	for _, call := range []verify.Call{
		{From: netip.MustParseAddr("203.0.113.7")},
		{From: netip.MustParseAddr("203.0.113.8"), Scopes: apikey.Scopes{"a"}},
		{From: netip.MustParseAddr("2001:db8:1:2::3"), Scopes: apikey.Scopes{"a", apikey.ScopeRead}},
		{From: netip.MustParseAddr("192.0.2.1"), Scopes: apikey.Scopes{"b", "c"}},
		{},
	} {
		_, err := v.Verify(t.Context(), secret.Reveal(), call)
		must(t, err)
	}
	must(t, v.Keys.Flush(t.Context()))
	seen, err := f.store.Seen(t.Context(), key.ID, f.clock.Now())
	must(t, err)
	var values []string
	for _, s := range seen {
		values = append(values, s.Value)
	}
	if diff := cmp.Diff([]string{"a", "keys:admin", "2001:db8:1::/48", "203.0.113.0/24"}, values); diff != "" {
		t.Errorf("what was seen differs (-want +got):\n%s", diff)
	}
}

// Each code has its place among the stored ones.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, code := range []verify.Code{
		verify.NotFound, verify.Revoked, verify.Disabled, verify.Expired, verify.AddressNotAllowed, verify.InsufficientScope,
		verify.QuotaExceeded, verify.RateLimited, verify.Valid,
	} {
		if !slices.Contains(store.Outcomes[:], string(code)) {
			t.Errorf("%s cannot be counted", code)
		}
	}
	if store.Outcomes[0] != string(verify.Valid) {
		t.Error("the first is not VALID")
	}
}
