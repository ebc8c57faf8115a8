// Package keycache caches keys, so that verifying one need not read the store, and collects what
// happens to them, so that it need not write either.
//
// The cache is as current as the store: the store reports every change before the call that made it
// returns, and cached keys count only while the store guarantees that.
package keycache

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/usage"
	"apikeyd/store"
)

// DefaultSize is the default Options.Size.
const DefaultSize = 100_000

// Source has the methods of store.Store that a Cache calls.
type Source interface {
	Key(ctx context.Context, ref store.Ref) (apikey.Key, error)
	Keys(ctx context.Context, q store.Query) (store.Page, error)
	KeyIDs(ctx context.Context, q store.Query) (store.IDPage, error)
	OwnerSettings(ctx context.Context, name string) (settings apikey.OwnerSettings, none bool, err error)
	ForeignSchemes(ctx context.Context) ([]apikey.Scheme, error)
	ForeignKey(ctx context.Context, secrets []apikey.Foreign) (apikey.ID, apikey.Hash, error)
	RecordUses(ctx context.Context, uses []store.Use) error
	CountedUses(ctx context.Context, q store.UsageQuery) ([]store.IntervalCounts, error)
	UsageSince(ctx context.Context, interval time.Duration) (time.Time, error)
	Seen(ctx context.Context, id apikey.ID, since time.Time) ([]store.Seen, error)
	Watch(w store.Watcher)
}

// Options change how a Cache works. The zero Options are ready to use.
type Options struct {
	// Size limits the cached keys, and separately the cached refused secrets, owners and foreign
	// secrets. 0 is DefaultSize;
	// negative caches nothing.
	Size int
	Now  func() time.Time // the source's clock; nil is time.Now
}

// Cache holds keys by id, and refused secrets by hash: those that no key has. It is safe for concurrent
// use.
//
// A key that was read before a change must not be cached after it. So each shard counts its changes: a
// reader notes the count before it reads from the source, and caches the key only if the count is
// still the same.
type Cache struct {
	source  Source
	now     func() time.Time
	max     int // of keys, and of refused secrets
	start   time.Time
	trusted atomic.Int64 // until when, in nanoseconds since start
	keys    atomic.Int64
	refused atomic.Int64
	changes atomic.Uint64 // in all shards
	evicted atomic.Uint64
	shards  [shards]shard

	owners    owners
	foreign   foreign
	shortcuts shortcuts
	uses      uses
}

// shards is how many parts the cache has, each with its own lock.
const shards = 64

// New returns a Cache of source that watches source for changes. The caller calls Flush every
// FlushInterval, and once more after the last use.
func New(source Source, o Options) *Cache {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Size == 0 {
		o.Size = DefaultSize
	}
	c := &Cache{source: source, now: o.Now, max: max(o.Size, 0), start: o.Now()}
	c.trusted.Store(math.MinInt64)
	c.uses.many, c.uses.meter = make(chan struct{}, 1), usage.NewMeter()
	for i := range c.shards {
		c.shards[i].clear()
		c.uses.parts[i].places = make(map[place]int32)
	}
	source.Watch(c)
	return c
}

// Now returns the time on the cache's clock.
func (c *Cache) Now() time.Time { return c.now() }

// Find returns the key with this id if it accepts a secret with this hash, else nil. A wrong secret
// takes as long for a cached key as for an unknown one. The error is the source's.
func (c *Cache) Find(ctx context.Context, id apikey.ID, hash apikey.Hash, now time.Time) (*Entry, error) {
	if e, known := c.find(id, hash, now); known {
		return e, nil
	}
	c.shard(id).misses.Add(1)
	changes := c.shard(id).count()
	key, err := c.source.Key(ctx, store.ByID(id))
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return nil, err
	case key.Accepts(hash, now):
		c.keep(&key, changes)
		return &Entry{Key: key}, nil
	}
	c.refuse(id, hash, changes)
	return nil, nil
}

// find is Find without the source. A nil Entry that is known is a refused secret.
func (c *Cache) find(id apikey.ID, hash apikey.Hash, now time.Time) (found *Entry, known bool) {
	if !c.trusts(now) {
		return nil, false
	}
	s := c.shard(id)
	if found = s.find(id); found != nil && !found.Key.Accepts(hash, now) {
		found = nil
	}
	if known = found != nil || s.refuses(hash); known {
		s.hits.Add(1)
	}
	return found, known
}

// trusts reports whether cached keys count.
func (c *Cache) trusts(now time.Time) bool { return int64(now.Sub(c.start)) < c.trusted.Load() }

// get returns the key with this id if it is cached, whatever its secret.
func (c *Cache) get(id apikey.ID, now time.Time) *Entry {
	if !c.trusts(now) {
		return nil
	}
	return c.shard(id).find(id)
}

// maxPacked limits a cached key, in bytes, so that a few large keys cannot fill the memory.
const maxPacked = 2048

// keep caches a key that was read when its shard's count was changes.
func (c *Cache) keep(key *apikey.Key, changes uint64) {
	if c.max == 0 {
		return
	}
	packed := key.AppendPacked(make([]byte, 0, maxPacked/8))
	if len(packed) > maxPacked {
		return
	}
	s := c.shard(key.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes != changes {
		return
	}
	if !s.remove(key.ID) {
		c.keys.Add(1)
	}
	s.put(key, packed)
	if c.keys.Load() > int64(c.max) {
		s.evict(key.ID)
		c.keys.Add(-1)
		c.evicted.Add(1)
	}
}

// refuse caches that no key had a secret with this hash when its shard's count was changes.
func (c *Cache) refuse(id apikey.ID, hash apikey.Hash, changes uint64) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes != changes {
		return
	}
	if c.refused.Load() >= int64(c.max) {
		for old := range s.refused { // any one
			delete(s.refused, old)
			c.refused.Add(-1)
			c.evicted.Add(1)
			break
		}
		if c.refused.Load() >= int64(c.max) {
			return
		}
	}
	before := len(s.refused)
	s.refused[hash] = struct{}{}
	c.refused.Add(int64(len(s.refused) - before))
}

// Changed implements store.Watcher.
func (c *Cache) Changed(id apikey.ID) {
	if id.IsOwner() {
		c.owners.changed(id)
		return
	}
	c.changes.Add(1)
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	if s.remove(id) {
		c.keys.Add(-1)
	}
	c.refused.Add(-int64(len(s.refused)))
	clear(s.refused)
}

// ChangedAll implements store.Watcher.
func (c *Cache) ChangedAll() {
	c.owners.changedAll()
	c.foreign.changedAll()
	c.changes.Add(1)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.changes++
		c.keys.Add(-int64(len(s.keys)))
		c.refused.Add(-int64(len(s.refused)))
		s.clear()
		s.mu.Unlock()
	}
}

// Trust implements store.Watcher.
func (c *Cache) Trust(until time.Time) { c.trusted.Store(int64(until.Sub(c.start))) }

func (c *Cache) shard(id apikey.ID) *shard { return &c.shards[shardOf(id)] }

func shardOf(id apikey.ID) byte { return id[len(id)-1] % shards }

// counts returns the counts of all shards.
func (c *Cache) counts() (changes [shards]uint64) {
	for i := range c.shards {
		changes[i] = c.shards[i].count()
	}
	return changes
}
