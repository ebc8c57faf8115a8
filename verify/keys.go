package verify

import (
	"context"

	"apikeyd/apikey"
	"apikeyd/store"
)

// Key is store.Store's, by id, from what is remembered if it can be.
func (v *Verifier) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	now := v.now()
	if found := v.cache.get(id, now); found != nil {
		return found.current(), nil
	}
	changes := v.cache.begin(id)
	key, err := v.store.Key(ctx, store.ByID(id))
	if err != nil {
		return apikey.Key{}, err
	}
	return v.cache.keep(key, changes).current(), nil
}

// Keys is store.Store's, from what is remembered if that is all of the page.
func (v *Verifier) Keys(ctx context.Context, q store.Query) (store.Page, error) {
	if !q.IsPlain() {
		return v.store.Keys(ctx, q)
	}
	now := v.now()
	ids, err := v.store.KeyIDs(ctx, q)
	if err != nil {
		return store.Page{}, err
	}
	page := store.Page{Keys: make([]apikey.Key, 0, len(ids.IDs)), Total: ids.Total}
	for _, id := range ids.IDs {
		found := v.cache.get(id, now)
		if found == nil {
			return v.readKeys(ctx, q)
		}
		page.Keys = append(page.Keys, found.current())
	}
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

// current is the key as the store has it, whose last use was written since it was read.
func (e *entry) current() apikey.Key {
	key := e.key
	if ms := e.saved.Load(); ms > 0 {
		key.LastUsedAt = fromMillis(ms)
	}
	return key
}
