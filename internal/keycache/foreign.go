package keycache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// foreign caches which keys foreign secrets lead to, for as long as the keys are trusted. Whether such a secret still
// works, the key decides, so that a change of the key need not be told here.
type foreign struct {
	schemes atomic.Pointer[knownSchemes]
	parts   [shards]foreignPart
	held    atomic.Int64
}

// knownSchemes are the schemes of the source's foreign secrets, until any key changes.
type knownSchemes struct {
	schemes []apikey.Scheme
	changes uint64
}

// foreignPart is a part of the cache, with its own lock.
type foreignPart struct {
	mu      sync.RWMutex
	changes uint64
	known   map[apikey.Hash]apikey.ID
}

// Foreign returns the id of the key that has, or had, a foreign secret, and the secret's hash. It reports false for
// strings that were not imported, ours among them. If nothing was imported, a look at one flag costs less than a
// hash. The error is the source's.
func (c *Cache) Foreign(
	ctx context.Context, secret string, pepper []byte, now time.Time,
) (id apikey.ID, hash apikey.Hash, ok bool, err error) {
	schemes, err := c.schemes(ctx, now)
	if err != nil || len(schemes) == 0 {
		return id, hash, false, err
	}
	secrets := apikey.ForeignSecrets(secret, schemes, pepper)
	if len(secrets) == 0 {
		return id, hash, false, nil
	}
	if c.trusts(now) {
		for _, s := range secrets {
			if id, ok := c.foreign.find(s.Hash); ok {
				return id, s.Hash, true, nil
			}
		}
	}
	counts := make([]uint64, 0, len(apikey.Schemes))
	for _, s := range secrets {
		counts = append(counts, c.foreign.part(s.Hash).count())
	}
	id, hash, err = c.source.ForeignKey(ctx, secrets)
	if errors.Is(err, store.ErrNotFound) {
		return id, hash, false, nil
	}
	if err != nil {
		return id, hash, false, err
	}
	for i, s := range secrets {
		if s.Hash == hash {
			c.foreign.keep(hash, id, counts[i], c.max)
		}
	}
	return id, hash, true, nil
}

// schemes returns the schemes in which there are foreign secrets.
func (c *Cache) schemes(ctx context.Context, now time.Time) ([]apikey.Scheme, error) {
	changes := c.changes.Load()
	if known := c.foreign.schemes.Load(); known != nil && known.changes == changes && c.trusts(now) {
		return known.schemes, nil
	}
	schemes, err := c.source.ForeignSchemes(ctx)
	if err == nil {
		c.foreign.schemes.Store(&knownSchemes{schemes, changes})
	}
	return schemes, err
}

func (f *foreign) part(hash apikey.Hash) *foreignPart { return &f.parts[hash[0]%shards] }

func (f *foreign) find(hash apikey.Hash) (apikey.ID, bool) {
	p := f.part(hash)
	p.mu.RLock()
	defer p.mu.RUnlock()
	id, ok := p.known[hash]
	return id, ok
}

func (p *foreignPart) count() uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.changes
}

// keep caches a secret that was read when its part's count was changes. Most is how many may be cached; a full
// cache loses a part.
func (f *foreign) keep(hash apikey.Hash, id apikey.ID, changes uint64, most int) {
	p := f.part(hash)
	p.mu.Lock()
	defer p.mu.Unlock()
	full := f.held.Load() >= int64(most)
	if p.changes != changes || full && len(p.known) == 0 {
		return
	}
	if p.known == nil || full {
		f.held.Add(-int64(len(p.known)))
		p.known = make(map[apikey.Hash]apikey.ID)
	}
	before := len(p.known)
	p.known[hash] = id
	f.held.Add(int64(len(p.known) - before))
}

// changedAll forgets all secrets: another process may have replaced the rows.
func (f *foreign) changedAll() {
	for i := range f.parts {
		p := &f.parts[i]
		p.mu.Lock()
		p.changes++
		f.held.Add(-int64(len(p.known)))
		p.known = nil
		p.mu.Unlock()
	}
}

// ForeignSecrets returns how many foreign secrets are cached.
func (c *Cache) ForeignSecrets() int { return int(c.foreign.held.Load()) }
