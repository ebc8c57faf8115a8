package verify_test

import (
	"net/netip"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/verify"
)

// Use from outside the observed networks passes, and is reported once an hour and key, whatever asked.
func TestObserve(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	add := func(s apikey.Settings) string {
		s.Owner, s.Name, s.ExpiresAt = "team", apikey.NewID().String()+" key", f.clock.Now().AddDate(1, 0, 0)
		key, secret, err := apikey.Policy{}.NewKey(f.clock.Now(), s)
		must(t, err)
		must(t, f.store.CreateKey(t.Context(), operator, key))
		return secret.Reveal()
	}
	secret := add(apikey.Settings{ObserveCIDRs: apikey.ParseCIDRs([]string{"192.0.2.0/24"})})
	other := add(apikey.Settings{AllowedCIDRs: apikey.ParseCIDRs([]string{"192.0.2.0/24"})})
	use := func(secret, from string, want verify.Code) {
		t.Helper()
		call := verify.Call{}
		if from != "" {
			call.From = netip.MustParseAddr(from)
		}
		for _, decide := range []func() (verify.Result, error){
			func() (verify.Result, error) { return f.verifier.Verify(t.Context(), secret, call) },
			func() (verify.Result, error) { return f.verifier.Admit(t.Context(), secret, call) },
		} {
			if r, err := decide(); err != nil || r.Code != want {
				t.Errorf("from %q: %s, %v; want %s", from, r.Code, err, want)
			}
		}
	}
	reported := func(want ...string) {
		t.Helper()
		if err := f.verifier.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		events, err := f.store.AuditEvents(t.Context(), store.EventQuery{Action: store.ActionOutside, Limit: 9})
		if err != nil || len(events) != len(want) {
			t.Fatalf("%d reports, %v; want %d", len(events), err, len(want))
		}
		for i, event := range events {
			if event.Address != want[i] {
				t.Errorf("a report is from %q, want %q", event.Address, want[i])
			}
		}
	}
	use(secret, "192.0.2.7", verify.Valid)
	use(secret, "::ffff:192.0.2.8", verify.Valid)
	use(other, "198.51.100.1", verify.AddressNotAllowed)
	reported()
	use(secret, "198.51.100.1", verify.Valid)
	use(secret, "198.51.100.2", verify.Valid)
	reported("198.51.100.1")
	f.clock.Advance(time.Hour)
	use(secret, "", verify.Valid)
	reported("", "198.51.100.1")
	if uses := f.verifier.OutsideUses(); uses != 6 {
		t.Errorf("%d uses from outside were counted, want 6", uses)
	}
}
