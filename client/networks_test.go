package client_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
)

func TestNetworks(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	ctx := t.Context()
	made, err := k.admin.Create(ctx, client.NewKey{Name: "n", ExpiresAt: time.Now().Add(time.Hour),
		AllowedCIDRs: &[]string{"192.0.2.0/24", "2001:db8::7"}, ObserveCIDRs: &[]string{"192.0.2.7"}})
	must(t, err)
	want := [2][]string{{"192.0.2.0/24", "2001:db8::7/128"}, {"192.0.2.7/32"}}
	check := func(key client.Key) {
		t.Helper()
		if diff := cmp.Diff(want, [2][]string{key.AllowedCIDRs, key.ObserveCIDRs}); diff != "" {
			t.Errorf("the networks differ (-want +got):\n%s", diff)
		}
	}
	check(made.Key)
	for address, code := range map[string]client.VerifyCode{
		"": client.VerifyAddressNotAllowed, "192.0.2.9": client.VerifyValid, "192.0.2.9:80": client.VerifyValid,
		"198.51.100.1": client.VerifyAddressNotAllowed, "2001:db8::7": client.VerifyValid,
	} {
		got, err := k.admin.VerifyCall(ctx, client.Call{Secret: made.Secret.Reveal(), ClientAddress: address})
		must(t, err)
		if got.Code != code {
			t.Errorf("from %q: %s, want %s", address, got.Code, code)
		}
	}
	_, err = k.admin.VerifyCall(ctx, client.Call{Secret: made.Secret.Reveal(), ClientAddress: "unknown"})
	wantError(t, err, 400, client.CodeInvalidRequest)

	changed, err := k.admin.Update(ctx, made.ID, client.Change{ObserveCIDRs: new([]string)})
	must(t, err)
	want[1] = nil
	check(changed)
	changed, err = k.admin.Update(ctx, made.ID, client.Change{AllowedCIDRs: &[]string{}})
	must(t, err)
	want[0] = nil
	check(changed)
	_, err = k.admin.Update(ctx, made.ID, client.Change{AllowedCIDRs: &[]string{"192.0.2.7/24"}})
	wantError(t, err, 400, client.CodeInvalidRequest)
}

// A guard asks with the address of each request, and what it remembers holds for that address alone.
func TestGuardAndNetworks(t *testing.T) {
	t.Parallel()
	for _, cacheFor := range []time.Duration{0, time.Minute} {
		g := newGuarded(t, client.GuardOptions{CacheFor: cacheFor,
			ClientAddress: func(r *http.Request) string { return r.Header.Get("Test-Address") }})
		key, err := g.admin.ForOwner("customer-42").Create(t.Context(), client.NewKey{
			Name: "n", ExpiresAt: g.clock.Now().AddDate(1, 0, 0), Scopes: &[]string{"datasets:read"}, AllowedCIDRs: &[]string{"192.0.2.0/24"},
		})
		must(t, err)
		for range 2 {
			for address, status := range map[string]int{
				"192.0.2.7": 200, "192.0.2.7:1": 200, "192.0.2.7:2": 200, "192.0.2.8": 200,
				"198.51.100.1": 403, "198.51.100.1:1": 403, "": 403, "unknown": 503,
			} {
				answer := g.call(t, http.MethodGet, http.Header{"X-Api-Key": {key.Secret.Reveal()}, "Test-Address": {address}})
				switch status {
				case 200:
					answer.wantPass(t, "n")
				case 403:
					answer.wantRefused(t, 403, client.CodeAddressNotAllowed, "", "")
				default:
					answer.wantRefused(t, 503, client.CodeUnavailable, "", "1")
				}
			}
		}
		unaware := newGuarded(t, client.GuardOptions{CacheFor: cacheFor})
		unaware.get(t, unaware.restricted(t)).wantRefused(t, 403, client.CodeAddressNotAllowed, "", "")
	}
}

// restricted makes a key that may only be used from a network, and returns its secret.
func (g *guarded) restricted(t *testing.T) string {
	t.Helper()
	key, err := g.admin.Create(t.Context(), client.NewKey{
		Name: "restricted", ExpiresAt: g.clock.Now().AddDate(1, 0, 0), Scopes: &[]string{"datasets:read"}, AllowedCIDRs: &[]string{"192.0.2.0/24"},
	})
	must(t, err)
	return key.Secret.Reveal()
}
