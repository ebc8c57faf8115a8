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
				result, err := node.Verify(t.Context(), secret.Reveal())
				must(t, err)
				if result.Code != want {
					t.Fatalf("round %d: node %d says %s, want %s", round, i, result.Code, want)
				}
			}
		}
	}
}

// So is the suspension of an owner, and what was set for it last.
func TestOwnersSuspensionOnAllNodes(t *testing.T) {
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
		_, err := db.UpdateOwner(t.Context(), operator, key.Owner, apikey.OwnerChange{Suspended: &suspended, MaxKeys: new(round + 1)})
		must(t, err)
		for i, node := range nodes {
			for range 3 {
				result, err := node.Verify(t.Context(), secret.Reveal())
				must(t, err)
				if result.Code != want || result.Owner == nil || result.Owner.MaxKeys != round+1 {
					t.Fatalf("round %d: node %d says %s of an owner %+v, want %s", round, i, result.Code, result.Owner, want)
				}
			}
		}
	}
}
