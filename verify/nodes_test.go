//go:build full

package verify_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
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
				result, err := node.Verify(t.Context(), secret.Reveal(), verify.Call{})
				must(t, err)
				if result.Code != want || result.Owner == nil || result.Owner.MaxKeys != round+1 {
					t.Fatalf("round %d: node %d says %s of an owner %+v, want %s", round, i, result.Code, result.Owner, want)
				}
				shown, err := node.Keys.Key(t.Context(), store.ByID(key.ID))
				must(t, err)
				page, err := node.Keys.Page(t.Context(), store.Query{Limit: 1})
				must(t, err)
				for _, entry := range []*keycache.Entry{shown, page.Entries[0], result.Entry} {
					if status := entry.Key.Status(result.At); (status == apikey.StatusRevoked) != suspended {
						t.Fatalf("round %d: node %d shows the key as %s; its owner is suspended: %t", round, i, status, suspended)
					}
				}
			}
		}
	}
}

// So is an import, and the end of its secret.
func TestForeignSecretsOnAllNodes(t *testing.T) {
	t.Parallel()
	db, nodes := newNodes(t)
	for round := range 20 {
		secret := fmt.Sprint("a-foreign-secret-", round)
		for _, node := range nodes {
			codeOf(t, node, secret)
		}
		key := importKey(t, db, time.Now(), fmt.Sprint(round), secret)
		for i, node := range nodes {
			for range 3 {
				if got := codeOf(t, node, secret); got != verify.Valid {
					t.Fatalf("round %d: node %d says %s after the import", round, i, got)
				}
			}
		}
		_, err := db.RotateKey(t.Context(), operator, store.ByID(key.ID), apikey.Rotation{From: key.SecretHash, To: key.NewSecret().Hash()})
		must(t, err)
		for i, node := range nodes {
			if got := codeOf(t, node, secret); got != verify.NotFound {
				t.Fatalf("round %d: node %d says %s after the rotation", round, i, got)
			}
		}
	}
}
