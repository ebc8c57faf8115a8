//go:build full

package verify_test

import (
	"net/netip"
	"testing"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/verify"
)

// A suspension or restriction, and its end, is in force on every node when the call that made it returns.
func TestChangesOnAllNodes(t *testing.T) {
	t.Parallel()
	db, nodes := newNodes(t)
	key, secret := addKey(t, db, apikey.Settings{Name: "n"})
	for _, node := range nodes {
		remember(t, node, secret)
	}
	for round := range 40 {
		change, want := apikey.Change{Suspended: new(false), AllowedCIDRs: new(apikey.CIDRs)}, verify.Valid
		switch round % 4 {
		case 0:
			change, want = apikey.Change{Suspended: new(true)}, verify.Disabled
		case 2:
			change, want = apikey.Change{AllowedCIDRs: new(apikey.ParseCIDRs([]string{"192.0.2.0/24"}))}, verify.AddressNotAllowed
		}
		_, err := db.UpdateKey(t.Context(), operator, store.ByID(key.ID), change)
		must(t, err)
		for i, node := range nodes {
			for range 3 {
				result, err := node.Verify(t.Context(), secret.Reveal(), verify.Call{From: netip.MustParseAddr("198.51.100.1")})
				must(t, err)
				if result.Code != want {
					t.Fatalf("round %d: node %d says %s, want %s", round, i, result.Code, want)
				}
			}
		}
	}
}
