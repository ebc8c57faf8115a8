//go:build full

package verify_test

import (
	"testing"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/verify"
)

// A suspension, and its end, is in force on every node when the call that made it returns.
func TestSuspensionOnAllNodes(t *testing.T) {
	t.Parallel()
	db, nodes := newNodes(t)
	key, secret := addKey(t, db, apikey.Settings{Name: "n"})
	for _, node := range nodes {
		remember(t, node, secret)
	}
	for round := range 40 {
		suspended, want := round%2 == 0, verify.Valid
		if suspended {
			want = verify.Disabled
		}
		_, err := db.UpdateKey(t.Context(), operator, store.ByID(key.ID), apikey.Change{Suspended: &suspended})
		must(t, err)
		for i, node := range nodes {
			for range 3 {
				result, err := node.Verify(t.Context(), secret.Reveal(), verify.Call{})
				must(t, err)
				if result.Code != want {
					t.Fatalf("round %d: node %d says %s, want %s", round, i, result.Code, want)
				}
			}
		}
	}
}
