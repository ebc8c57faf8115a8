package review_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/internal/review"
	"apikeyd/store"
)

var now = time.Date(2026, 11, 29, 12, 30, 0, 0, time.UTC)

func TestOf(t *testing.T) {
	t.Parallel()
	day := now.Truncate(store.Day)
	asked := func(scope string) store.Seen { return store.Seen{Kind: store.SeenScope, Value: scope, Last: day} }
	from := func(network string) store.Seen { return store.Seen{Kind: store.SeenNetwork, Value: network, Last: day} }
	more := store.Seen{Kind: store.SeenMoreNetworks, Last: day}
	many := make([]store.Seen, 33)
	for i := range many {
		many[i] = from(apikey.ParseCIDR("10.0." + string(rune('0'+i%10)) + "." + string(rune('0'+i/10)) + "/32").String())
	}
	cidrs := func(texts ...string) *apikey.CIDRs { return new(apikey.ParseCIDRs(texts)) }
	for name, tt := range map[string]struct {
		scopes  apikey.Scopes
		allowed *apikey.CIDRs
		revoked bool
		seen    []store.Seen
		want    apikey.Change
	}{
		"never used":               {scopes: apikey.Scopes{"a", "b"}},
		"uses all that it has":     {scopes: apikey.Scopes{"a", "b"}, seen: []store.Seen{asked("a"), asked("b")}},
		"one scope of two":         {scopes: apikey.Scopes{"b", "a"}, seen: []store.Seen{asked("a")}, want: apikey.Change{Scopes: &apikey.Scopes{"a"}}},
		"scopes that it had":       {scopes: apikey.Scopes{"b"}, seen: []store.Seen{asked("a")}},
		"no scope was asked for":   {scopes: apikey.Scopes{"a"}, seen: []store.Seen{from("192.0.2.0/24")}, want: apikey.Change{AllowedCIDRs: cidrs("192.0.2.0/24")}},
		"two networks":             {seen: []store.Seen{from("192.0.2.0/24"), from("2001:db8:1::/48")}, want: apikey.Change{AllowedCIDRs: cidrs("192.0.2.0/24", "2001:db8:1::/48")}},
		"more networks than kept":  {seen: []store.Seen{from("192.0.2.0/24"), more}},
		"more than a key can have": {seen: many},
		"part of what is allowed":  {allowed: cidrs("192.0.0.0/16", "::/0"), seen: []store.Seen{from("192.0.2.0/24")}, want: apikey.Change{AllowedCIDRs: cidrs("192.0.2.0/24")}},
		"all that is allowed":      {allowed: cidrs("192.0.2.0/24"), seen: []store.Seen{from("192.0.2.0/24")}},
		"smaller networks":         {allowed: cidrs("192.0.2.7", "192.0.2.64/26", "10.0.0.0/8"), seen: []store.Seen{from("192.0.2.0/24")}, want: apikey.Change{AllowedCIDRs: cidrs("192.0.2.7", "192.0.2.64/26")}},
		"networks of before":       {allowed: cidrs("10.0.0.0/8"), seen: []store.Seen{from("192.0.2.0/24")}},
		"a revoked key":            {scopes: apikey.Scopes{"a", "b"}, revoked: true, seen: []store.Seen{asked("a"), from("192.0.2.0/24")}},
	} {
		key := apikey.Key{Settings: apikey.Settings{Scopes: tt.scopes}}
		if tt.allowed != nil {
			key.AllowedCIDRs = *tt.allowed
		}
		if tt.revoked {
			key.RevokedAt = now
		}
		got := review.Of(key, tt.seen, now)
		if diff := cmp.Diff(tt.want, got.Proposal, prefixes); diff != "" {
			t.Errorf("%s: the proposal differs (-want +got):\n%s", name, diff)
		}
		if len(got.Scopes) != len(tt.scopes) || !got.Since.Equal(day.AddDate(0, 0, -30)) {
			t.Errorf("%s: %d scopes since %s", name, len(got.Scopes), got.Since)
		}
	}
}

var prefixes = cmp.Comparer(func(a, b apikey.CIDRs) bool { return a.Equal(b) })
