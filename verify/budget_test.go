//go:build full

package verify_test

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	databasetest "apikeyd/internal/testkit/database"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/verify"
)

// newNodes returns a store in PostgreSQL, and three Verifiers that share it over separate connections.
func newNodes(t *testing.T) (*sqlstore.DB, []*verify.Verifier) {
	t.Helper()
	url := postgrestest.Shared(t).Database(t)
	var first *sqlstore.DB
	var nodes []*verify.Verifier
	for _, name := range []string{"a", "b", "c"} {
		db := databasetest.OpenWith(t, sqlstore.Options{Path: url, Serve: true, Node: name})
		if first == nil {
			first = db
		}
		nodes = append(nodes, verify.New(keycache.New(db, keycache.Options{}), slog.New(slog.DiscardHandler), verify.Options{Budget: db.Budget()}))
	}
	return first, nodes
}

func addLimitedKey(t *testing.T, db *sqlstore.DB, name string, limit apikey.RateLimit) (apikey.ID, string) {
	t.Helper()
	key, secret := addKey(t, db, apikey.Settings{Name: name, RateLimit: limit})
	return key.ID, secret.Reveal()
}

// All nodes of a PostgreSQL database share a limit.
func TestOneLimitForAllNodes(t *testing.T) {
	t.Parallel()
	db, nodes := newNodes(t)
	codes := func(secret string, calls int) (valid int) {
		t.Helper()
		for i := range calls {
			result, err := nodes[i%len(nodes)].Admit(t.Context(), secret, verify.Call{Cost: 1})
			switch {
			case err != nil:
				t.Fatal(err)
			case result.Code == verify.Valid && result.RateLimit.Allowed:
				valid++
			case result.Code != verify.RateLimited || result.RateLimit.Remaining != 0 || result.RateLimit.RetryAfter <= 0:
				t.Errorf("call %d is %s with %+v", i, result.Code, result.RateLimit)
			}
		}
		return valid
	}
	id, few := addLimitedKey(t, db, "few", apikey.RateLimit{Limit: 3, Window: time.Hour})
	if got := codes(few, 9); got != 3 {
		t.Errorf("%d calls passed, want 3", got)
	}
	other := apikey.RateLimit{Limit: 4, Window: time.Hour}
	if _, err := db.UpdateKey(t.Context(), operator, store.ByID(id), apikey.Change{RateLimit: &other}); err != nil {
		t.Fatal(err)
	}
	if got := codes(few, 9); got != 4 {
		t.Errorf("%d calls passed after the limit was changed, want 4", got)
	}
	none := apikey.RateLimit{}
	if _, err := db.UpdateKey(t.Context(), operator, store.ByID(id), apikey.Change{RateLimit: &none}); err != nil {
		t.Fatal(err)
	}
	for range 9 {
		if result, err := nodes[0].Admit(t.Context(), few, verify.Call{Cost: 1}); err != nil || result.Code != verify.Valid {
			t.Error("without a limit:", result.Code, err)
		}
	}
	_, many := addLimitedKey(t, db, "many", apikey.RateLimit{Limit: 1000, Window: 24 * time.Hour})
	if got := codes(many, 1500); got > 1000 || got < 700 {
		t.Errorf("%d calls passed, want 1000, but for 100 that each node may have in advance", got)
	}
}

// Under load on all nodes at once no more calls pass than promised, and not many fewer.
func TestOneLimitUnderLoad(t *testing.T) {
	t.Parallel()
	db, nodes := newNodes(t)
	const limit, windows = 200, 4
	_, secret := addLimitedKey(t, db, "busy", apikey.RateLimit{Limit: limit, Window: time.Second})
	var valid atomic.Int64
	var load sync.WaitGroup
	began := time.Now()
	for _, node := range nodes {
		for range 4 {
			load.Go(func() {
				for time.Since(began) < windows*time.Second {
					result, err := node.Admit(t.Context(), secret, verify.Call{Cost: 1})
					if err != nil {
						t.Error(err)
						return
					}
					if result.Code == verify.Valid {
						valid.Add(1)
					}
				}
			})
		}
	}
	load.Wait()
	took := time.Since(began)
	if most := int64(limit * (1.1 + took.Seconds())); valid.Load() > most {
		t.Errorf("%d calls passed in %s, want at most %d", valid.Load(), took, most)
	}
	if valid.Load() < limit*windows/2 {
		t.Errorf("%d calls passed in %s", valid.Load(), took)
	}
	t.Logf("%d calls passed in %s", valid.Load(), took)
}
