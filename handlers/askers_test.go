package handlers_test

import (
	"context"
	"sync"
	"testing"

	"apikeyd/handlers"
	"apikeyd/internal/keycache"
	"apikeyd/store"
	"apikeyd/verify"
)

// askers is a store that records on whose behalf it is searched.
type askers struct {
	store.Store
	mu   *sync.Mutex
	seen *[]store.Asker
}

func (s askers) note(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.seen = append(*s.seen, store.AskerOf(ctx))
}

func (s askers) Keys(ctx context.Context, q store.Query) (store.Page, error) {
	s.note(ctx)
	return s.Store.Keys(ctx, q)
}

func (s askers) AuditEvents(ctx context.Context, q store.EventQuery) ([]store.Event, error) {
	s.note(ctx)
	return s.Store.AuditEvents(ctx, q)
}

// The store shares scans among callers, so it must know them, through every layer in between.
func TestStoreHearsWhoAsks(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []store.Asker
	k := newKit(t, func(c *handlers.Config) {
		c.Store = askers{storeOf(c), &mu, &seen}
		c.Verifier = verify.New(keycache.New(storeOf(c), keycache.Options{Now: c.Now}), c.Log, verify.Options{})
	})
	tenant := k.add("tenant", "reader", "keys:read")
	for path, by := range map[string]key{
		keysPath + "?status=ACTIVE": tenant, "/v1/audit-events": k.admin,
	} {
		seen = nil
		k.get(by, path).want(200)
		if len(seen) != 1 || seen[0].Owner != by.Owner || seen[0].Key.String() != by.ID {
			t.Errorf("%s was asked on behalf of %v, want %s of %s", path, seen, by.ID, by.Owner)
		}
	}
}
