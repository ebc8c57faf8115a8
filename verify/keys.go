package verify

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// maxShortcuts bounds how many names, and how many pages, are remembered.
const maxShortcuts = 1024

// shortcuts lead to keys that are remembered. They are forgotten all at once when there
// are too many.
type shortcuts struct {
	mu    sync.Mutex
	names map[name]apikey.ID
	pages map[store.Query]idPage
}

// name is how a key is called. Only a hint leads from it to an id: whether the key still
// has the name, the key says.
type name struct{ owner, name string }

// idPage is a page of a list, good until any key changes.
type idPage struct {
	store.IDPage
	changes uint64
}

// Key is store.Store's, from what is remembered if it can be.
func (v *Verifier) Key(ctx context.Context, ref store.Ref) (apikey.Key, error) {
	now := v.now()
	if found := v.cache.named(ref, now); found != nil {
		return found.current(), nil
	}
	changes := v.cache.beginAll() // by name it is not known which key this will be
	key, err := v.store.Key(ctx, ref)
	if err != nil {
		return apikey.Key{}, err
	}
	if ref.ID.IsZero() {
		v.cache.shortcuts.name(ref, key.ID)
	}
	return v.cache.keep(key, changes[shardOf(key.ID)]).current(), nil
}

// named returns the key that ref names, if it is remembered. Of the keys that have had a
// name only the one that holds it now is looked for.
func (c *cache) named(ref store.Ref, now time.Time) *entry {
	id, byName := ref.ID, ref.ID.IsZero()
	if byName {
		id = c.shortcuts.named(ref)
	}
	found := c.get(id, now)
	switch {
	case found == nil,
		ref.Owner != "" && ref.Owner != found.key.Owner,
		byName && (found.key.Name != ref.Name || found.key.IsRevoked()):
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

// Keys is store.Store's, from what is remembered if that is all of the page.
func (v *Verifier) Keys(ctx context.Context, q store.Query) (store.Page, error) {
	if !q.IsPlain() || v.cache.max == 0 {
		return v.store.Keys(ctx, q)
	}
	q.At = time.Time{} // it matters to filters only
	now := v.now()
	ids, err := v.keyIDs(ctx, q, now)
	if err != nil {
		return store.Page{}, err
	}
	page := store.Page{Keys: make([]apikey.Key, 0, len(ids.IDs)), Total: ids.Total, More: ids.More}
	for _, id := range ids.IDs {
		found := v.cache.get(id, now)
		if found == nil {
			return v.readKeys(ctx, q)
		}
		page.Keys = append(page.Keys, found.current())
	}
	return page, nil
}

func (v *Verifier) keyIDs(ctx context.Context, q store.Query, now time.Time) (store.IDPage, error) {
	changes, s := v.cache.changed.Load(), &v.cache.shortcuts
	s.mu.Lock()
	known, ok := s.pages[q]
	s.mu.Unlock()
	if ok && known.changes == changes && v.cache.trusts(now) {
		return known.IDPage, nil
	}
	page, err := v.store.KeyIDs(ctx, q)
	if err != nil {
		return store.IDPage{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pages == nil || len(s.pages) >= maxShortcuts {
		s.pages = make(map[store.Query]idPage)
	}
	page.IDs = slices.Clip(page.IDs)
	s.pages[q] = idPage{page, changes}
	return page, nil
}

// readKeys reads a page and remembers its keys.
func (v *Verifier) readKeys(ctx context.Context, q store.Query) (store.Page, error) {
	changes := v.cache.beginAll()
	page, err := v.store.Keys(ctx, q)
	if err != nil {
		return store.Page{}, err
	}
	for _, key := range page.Keys {
		v.cache.keep(key, changes[shardOf(key.ID)])
	}
	return page, nil
}

// current is the whole key as the store has it, whose last use was written since it was
// read.
func (e *entry) current() apikey.Key {
	key := e.key
	key.LastUsedAt = e.used()
	if e.metadata != "" {
		key.Metadata = nil                                    // that of the entry is shared
		_ = json.Unmarshal([]byte(e.metadata), &key.Metadata) // newEntry wrote it
	}
	return key
}

func (e *entry) used() time.Time {
	if ms := e.saved.Load(); ms > 0 {
		return fromMillis(ms)
	}
	return e.key.LastUsedAt
}
