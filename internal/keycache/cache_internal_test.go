package keycache

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
)

// open returns a cache over a database with some keys, and their secrets.
func open(t *testing.T, size, keys int) (*Cache, []apikey.Secret) {
	t.Helper()
	db := databasetest.Open(t, databasetest.NewPath(t))
	c := New(db, Options{Size: size})
	var creating sync.WaitGroup // concurrently, so that many share one wait for the disk
	secrets := make([]apikey.Secret, keys)
	for i := range secrets {
		key, secret, err := apikey.Policy{}.NewKey(time.Now(), apikey.Settings{
			Owner: "team", Name: fmt.Sprint(i), ExpiresAt: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		secrets[i] = secret
		creating.Go(func() {
			if err := db.CreateKey(t.Context(), store.Operator("test"), key); err != nil {
				t.Error(err)
			}
		})
	}
	creating.Wait()
	return c, secrets
}

// TestBounds checks that the cache stays within its size, and that Stats counts its entries.
func TestBounds(t *testing.T) {
	t.Parallel()
	const size = 20
	c, secrets := open(t, size, 3*size)
	var asking sync.WaitGroup
	for _, secret := range secrets {
		asking.Go(func() {
			for _, s := range []apikey.Secret{secret, apikey.NewSecret("ak", secret.ID())} {
				if _, err := c.Find(t.Context(), s.ID(), s.Hash(), c.Now()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	asking.Wait()
	keys, refused := 0, 0
	for i := range c.shards {
		keys += len(c.shards[i].keys)
		refused += len(c.shards[i].refused)
	}
	s := c.Stats()
	if s.Keys != keys || s.Refused != refused || keys == 0 || keys > size || refused == 0 || refused > size {
		t.Errorf("%d keys and %d refused secrets are cached; Stats says %d and %d; want at most %d each",
			keys, refused, s.Keys, s.Refused, size)
	}
}

func TestManyShortcuts(t *testing.T) {
	t.Parallel()
	c, _ := open(t, 0, 1)
	for i := range 3000 {
		if _, err := c.Page(t.Context(), store.Query{Limit: 1, Offset: i}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Key(t.Context(), store.ByName("team", "0")); err != nil {
		t.Fatal(err)
	}
	if names, pages := len(c.shortcuts.names), len(c.shortcuts.pages); names != 1 || pages == 0 || pages > maxShortcuts {
		t.Errorf("%d names and %d pages are cached", names, pages)
	}
}
