package cli

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

// Revoking the active keys of a database while listing them skips none. (client's test of this
// name does the same on a server.)
func TestListWhileKeysAreRevoked(t *testing.T) {
	t.Parallel()
	keys := openEmptyDatabase(t)

	const several = 250 // more than two pages
	var creating sync.WaitGroup
	for i := range several {
		creating.Go(func() {
			if _, err := keys.create(t.Context(), nil, client.NewKey{Name: fmt.Sprint(i), ExpiresAt: time.Now().Add(time.Hour)}); err != nil {
				t.Error(err)
			}
		})
	}
	creating.Wait()
	var seen []string
	var revoking sync.WaitGroup
	for key, err := range keys.list(t.Context(), nil, client.ListOptions{Status: client.StatusActive}) {
		must(t, err)
		seen = append(seen, key.ID)
		revoking.Go(func() {
			if _, err := keys.revoke(t.Context(), keyRef{nameOrID: key.ID}, ""); err != nil {
				t.Error(err)
			}
		})
		if len(seen)%50 == 0 {
			revoking.Wait()
		}
	}
	revoking.Wait()
	slices.Sort(seen)
	if n := len(slices.Compact(seen)); len(seen) != several || n != several {
		t.Errorf("%d keys were seen, %d of them different, of %d", len(seen), n, several)
	}
}

// openEmptyDatabase opens the keys of a new database.
func openEmptyDatabase(t *testing.T) keyring {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.db")
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Serve: true})
	must(t, err)
	must(t, db.Close())
	keys, err := openDatabase(t.Context(), path, apikey.Policy{}, "test")
	must(t, err)
	t.Cleanup(func() { must(t, keys.close()) })
	return keys
}
