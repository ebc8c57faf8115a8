package keycache

import (
	"context"
	"slices"
	"sync"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// maxShortcuts limits the cached names, and separately the cached pages.
const maxShortcuts = 1024

// shortcuts lead to cached keys. When there are too many, all are dropped.
type shortcuts struct {
	mu    sync.Mutex
	names map[name]apikey.ID
	pages map[plainQuery]idPage
}

// plainQuery is a store.Query without filters.
type plainQuery struct {
	owner         string
	limit, offset int
	after         apikey.ID
}

// name maps to an id as a hint: the key may have another name by now.
type name struct{ owner, name string }

// idPage is a page of a list, valid until any key changes.
type idPage struct {
	store.IDPage
	changes uint64
}

// Page is a store.Page of entries.
type Page struct {
	Entries []*Entry
	Total   int
	More    bool
}

// Key is store.Store's Key. It reads the source only if the key is not cached.
func (c *Cache) Key(ctx context.Context, ref store.Ref) (*Entry, error) {
	now := c.now()
	if found := c.named(ref, now); found != nil {
		return c.withOwner(ctx, found, now)
	}
	changes := c.counts() // a name does not tell the key's shard
	key, err := c.source.Key(ctx, ref)
	if err != nil {
		return nil, err
	}
	if ref.ID.IsZero() {
		c.shortcuts.name(ref, key.ID)
	}
	c.keep(&key, changes[shardOf(key.ID)])
	return &Entry{Key: key}, nil
}

// withOwner returns a cached key with its owner as it is now. The source's keys have theirs.
func (c *Cache) withOwner(ctx context.Context, e *Entry, now time.Time) (*Entry, error) {
	owner, err := c.Owner(ctx, e.Key.Owner, now)
	if err != nil {
		return nil, err
	}
	return e.Of(owner), nil
}

// named returns the key that ref names, if it is cached. By name, it finds only the key that holds the
// name now.
func (c *Cache) named(ref store.Ref, now time.Time) *Entry {
	id, byName := ref.ID, ref.ID.IsZero()
	if byName {
		id = c.shortcuts.named(ref)
	}
	found := c.get(id, now)
	switch {
	case found == nil,
		ref.Owner != "" && ref.Owner != found.Key.Owner,
		byName && (found.Key.Name != ref.Name || found.Key.IsRevoked()):
		return nil
	}
	return found
}

func (s *shortcuts) named(ref store.Ref) apikey.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[name{ref.Owner, ref.Name}]
}

func (s *shortcuts) name(ref store.Ref, id apikey.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names == nil || len(s.names) >= maxShortcuts {
		s.names = make(map[name]apikey.ID)
	}
	s.names[name{ref.Owner, ref.Name}] = id
}

// Page is store.Store's Keys. It reads the keys from the source unless all of the page are cached.
func (c *Cache) Page(ctx context.Context, q store.Query) (Page, error) {
	if !q.IsPlain() || c.max == 0 {
		return c.readKeys(ctx, q)
	}
	now := c.now()
	ids, err := c.keyIDs(ctx, q, now)
	if err != nil {
		return Page{}, err
	}
	page := Page{Entries: make([]*Entry, 0, len(ids.IDs)), Total: ids.Total, More: ids.More}
	for _, id := range ids.IDs {
		found := c.get(id, now)
		if found == nil {
			return c.readKeys(ctx, q)
		}
		if found, err = c.withOwner(ctx, found, now); err != nil {
			return Page{}, err
		}
		page.Entries = append(page.Entries, found)
	}
	return page, nil
}

func (c *Cache) keyIDs(ctx context.Context, q store.Query, now time.Time) (store.IDPage, error) {
	changes, s := c.changes.Load(), &c.shortcuts
	plain := plainQuery{q.Owner, q.Limit, q.Offset, q.After}
	s.mu.Lock()
	known, ok := s.pages[plain]
	s.mu.Unlock()
	if ok && known.changes == changes && c.trusts(now) {
		return known.IDPage, nil
	}
	page, err := c.source.KeyIDs(ctx, q)
	if err != nil {
		return store.IDPage{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pages == nil || len(s.pages) >= maxShortcuts {
		s.pages = make(map[plainQuery]idPage)
	}
	page.IDs = slices.Clip(page.IDs)
	s.pages[plain] = idPage{page, changes}
	return page, nil
}

// readKeys reads a page and caches its keys.
func (c *Cache) readKeys(ctx context.Context, q store.Query) (Page, error) {
	changes := c.counts()
	found, err := c.source.Keys(ctx, q)
	if err != nil {
		return Page{}, err
	}
	page := Page{Entries: make([]*Entry, 0, len(found.Keys)), Total: found.Total, More: found.More}
	for i := range found.Keys {
		key := &found.Keys[i]
		c.keep(key, changes[shardOf(key.ID)])
		page.Entries = append(page.Entries, &Entry{Key: *key})
	}
	return page, nil
}
