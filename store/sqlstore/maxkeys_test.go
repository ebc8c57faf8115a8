package sqlstore_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// The default bound binds callers that are no admins, exactly, whatever else is created at the same time.
func TestDefaultMaxKeys(t *testing.T) {
	t.Parallel()
	checkDefaultMaxKeys(t, databasetest.OpenWith(t, sqlstore.Options{Path: databasetest.NewPath(t), Serve: true, MaxKeys: 20}))
}

func checkDefaultMaxKeys(t *testing.T, nodes ...*sqlstore.DB) {
	t.Helper()
	owners := []string{"a", "b", "c", "d"}
	writers := make(map[string]store.Actor)
	create := func(db *sqlstore.DB, actor store.Actor, owner, name string) error {
		key, _, err := apikey.Policy{}.NewKey(time.Now(), apikey.Settings{
			Owner: owner, Name: name, Scopes: apikey.Scopes{apikey.ScopeWrite}, ExpiresAt: time.Now().Add(time.Hour),
		})
		must(t, err)
		if err := db.CreateKey(t.Context(), actor, key); err != nil {
			return err
		}
		if actor.IsOperator() && name == "writer" {
			writers[owner] = store.Actor{Key: key.ID, Secret: key.SecretHash, Via: "http"}
		}
		return nil
	}
	for _, owner := range owners {
		must(t, create(nodes[0], databasetest.Operator, owner, "writer"))
	}
	_, err := nodes[0].UpdateOwner(t.Context(), databasetest.Operator, "c", apikey.OwnerChange{MaxKeys: new(5)})
	must(t, err)
	_, err = nodes[0].UpdateOwner(t.Context(), databasetest.Operator, "d", apikey.OwnerChange{MaxKeys: new(40)})
	must(t, err)
	var all sync.WaitGroup
	for i := range 240 {
		all.Go(func() {
			owner := owners[i%len(owners)]
			err := create(nodes[i/len(owners)%len(nodes)], writers[owner], owner, fmt.Sprint(i))
			if err != nil && !errors.Is(err, store.ErrTooManyKeys) {
				t.Errorf("owner %s: %v", owner, err)
			}
		})
	}
	all.Wait()
	for owner, want := range map[string]int{"a": 20, "b": 20, "c": 5, "d": 40} {
		state, err := nodes[0].Owner(t.Context(), owner, time.Now())
		must(t, err)
		if state.Keys.Active != want {
			t.Errorf("owner %s has %d keys, want %d", owner, state.Keys.Active, want)
		}
	}
	for _, owner := range owners {
		err := create(nodes[0], databasetest.Operator, owner, "by the operator")
		if bound := owner > "b"; errors.Is(err, store.ErrTooManyKeys) != bound || !bound && err != nil {
			t.Errorf("an admin creates a key of owner %s: %v", owner, err)
		}
	}
}
