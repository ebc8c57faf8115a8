//go:build full

package sqlstore_test

import (
	"fmt"
	"sync"
	"testing"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// Two nodes change one key at once, and both changes persist: neither node writes back what the other has
// replaced.
func TestNodesChangeOneKey(t *testing.T) {
	t.Parallel()
	url := postgrestest.Shared(t).Database(t)
	var nodes []*sqlstore.DB
	for _, name := range []string{"a", "b"} {
		nodes = append(nodes, databasetest.OpenWith(t, sqlstore.Options{Path: url, Node: name, Serve: true}))
	}
	key := databasetest.Create(t, nodes[0], "wanted by both")
	for round := range 50 {
		scopes := apikey.Scopes{fmt.Sprint("round:", round)}
		metadata := apikey.Metadata{"round": fmt.Sprint(round)}
		var both sync.WaitGroup
		for i, change := range []apikey.Change{{Scopes: &scopes}, {Metadata: &metadata}} {
			both.Go(func() {
				if _, err := nodes[i].UpdateKey(t.Context(), databasetest.Operator, store.ByID(key.ID), change); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		both.Wait()
		got, err := nodes[0].Key(t.Context(), store.ByID(key.ID))
		must(t, err)
		if got.Scopes.String() != scopes.String() || got.Metadata["round"] != metadata["round"] {
			t.Fatalf("round %d: the key has %v and %v", round, got.Scopes, got.Metadata)
		}
	}
}
