package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/store/sqlstore"
)

// Keys in a database that are revoked while they are listed as active move no other key past
// the reader. (TestListWhileKeysAreRevoked in client/ does the same on a server.)
func TestListWhileKeysAreRevoked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.db")
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	must(t, db.Close())
	keys, err := openDatabase(t.Context(), path, apikey.Policy{})
	must(t, err)
	defer func() { must(t, keys.close()) }()

	const several = 250 // more than two pages
	var made sync.WaitGroup
	for i := range several {
		made.Go(func() {
			if _, err := keys.create(t.Context(), nil, client.NewKey{Name: fmt.Sprint(i), ExpiresAt: time.Now().Add(time.Hour)}); err != nil {
				t.Error(err)
			}
		})
	}
	made.Wait()
	var seen []string
	var ended sync.WaitGroup
	for key, err := range keys.list(t.Context(), nil, client.ListOptions{Status: client.StatusActive}) {
		must(t, err)
		seen = append(seen, key.ID)
		ended.Go(func() {
			if _, err := keys.revoke(t.Context(), keyRef{nameOrID: key.ID}); err != nil {
				t.Error(err)
			}
		})
		if len(seen)%50 == 0 {
			ended.Wait()
		}
	}
	ended.Wait()
	slices.Sort(seen)
	if n := len(slices.Compact(seen)); len(seen) != several || n != several {
		t.Errorf("%d keys were seen, %d of them different, of %d", len(seen), n, several)
	}
}
