package verify

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
)

// cache remembers keys by id, and secrets that are no key's by hash. What it remembers is
// as good as the store: a store.Watcher is told of every change before its call returns,
// and what is remembered counts only as long as the store vouches for being told.
//
// A key that was read before a change must not be remembered after it. So each shard
// counts the changes in it, a reader notes the count before it asks the store, and what
// it read is kept only if the count is still the same.
type cache struct {
	max     int // of keys, and of refused secrets
	start   time.Time
	trusted atomic.Int64 // until when, in nanoseconds since start
	keys    atomic.Int64
	refused atomic.Int64
	changed atomic.Uint64 // how often anything changed
	evicted atomic.Uint64 // how often one made room for another
	shards  [shards]shard

	shortcuts shortcuts
	scopes    scopeSets
}

// shards is how many parts of the cache are locked apart.
const shards = 64

type shard struct {
	mu      sync.RWMutex
	changes uint64
	keys    map[apikey.ID]*entry
	refused map[apikey.Hash]struct{}

	// Beside the lock, whose memory a decision needs anyway.
	hits, misses atomic.Uint64
}

// entry is a key and what a decision leaves with it. It outlives its place in the cache.
type entry struct {
	key      apikey.Key  // without its metadata, which would take more memory than all the rest
	metadata string      // as JSON; empty for none
	large    bool        // too large to be remembered
	kept     bool        // it is, or was, in the cache
	recent   atomic.Bool // used since somebody last looked for one to forget

	lastUse atomic.Int64 // milliseconds since 1970
	unsaved atomic.Bool  // whether the store must be told of lastUse
	saved   atomic.Int64 // the last of which it was told since the key was read

	decided atomic.Uint64 // decisions that no Meter knows yet, see refusal
}

// newCache returns an empty cache of at most maximum keys; 0 remembers nothing.
func newCache(maximum int, now time.Time) *cache {
	c := &cache{max: maximum, start: now}
	c.trusted.Store(math.MinInt64)
	for i := range c.shards {
		c.shards[i].clear()
	}
	return c
}

func (s *shard) clear() {
	s.keys = make(map[apikey.ID]*entry)
	s.refused = make(map[apikey.Hash]struct{})
}

func (c *cache) shard(id apikey.ID) *shard { return &c.shards[shardOf(id)] }

func shardOf(id apikey.ID) byte { return id[len(id)-1] % shards }

// find returns the key with this id if it is remembered and its secret has this hash,
// and whether a secret with this hash is known to be none. A wrong secret of a remembered
// key is asked for in the store like that of an unknown one, and takes as long.
func (c *cache) find(id apikey.ID, hash apikey.Hash, now time.Time) (found *entry, refused bool) {
	if !c.trusts(now) {
		return nil, false
	}
	s := c.shard(id)
	s.mu.RLock()
	e := s.keys[id]
	if e == nil || !e.key.Accepts(hash, now) {
		e = nil
		_, refused = s.refused[hash]
	}
	s.mu.RUnlock()
	if e != nil || refused {
		s.hits.Add(1)
	}
	if e != nil && !e.recent.Load() {
		e.recent.Store(true)
	}
	return e, refused
}

// trusts reports whether what is remembered counts.
func (c *cache) trusts(now time.Time) bool { return int64(now.Sub(c.start)) < c.trusted.Load() }

// get returns the key with this id if it is remembered, whatever its secret.
func (c *cache) get(id apikey.ID, now time.Time) *entry {
	if !c.trusts(now) {
		return nil
	}
	s := c.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.keys[id]
}

// save notes that the store knows of a use of a key. Like any change it overtakes whoever
// has read the key before.
func (c *cache) save(id apikey.ID, ms int64) {
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	if e := s.keys[id]; e != nil && ms > max(e.saved.Load(), e.key.LastUsedAt.UnixMilli()) {
		e.saved.Store(ms)
	}
}

// begin notes the count of changes before the store is asked about an id.
func (c *cache) begin(id apikey.ID) uint64 {
	s := c.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changes
}

// beginAll is begin for every shard.
func (c *cache) beginAll() (changes [shards]uint64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		changes[i] = s.changes
		s.mu.RUnlock()
	}
	return changes
}

// keep remembers a key that was read after begin returned changes.
func (c *cache) keep(key apikey.Key, changes uint64) *entry {
	e := c.scopes.newEntry(key)
	s := c.shard(key.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.max == 0 || s.changes != changes || e.large {
		return e
	}
	e.kept = true
	if s.keys[key.ID] == nil {
		c.keys.Add(1)
	}
	s.keys[key.ID] = e
	if c.keys.Load() > int64(c.max) {
		s.forgetOne(e)
		c.keys.Add(-1)
		c.evicted.Add(1)
	}
	return e
}

// forgetOne makes room: it looks at a few keys, in no order, for one that was not used
// lately, and forgets that.
func (s *shard) forgetOne(newest *entry) {
	const looks = 8
	looked := 0
	victim := newest // if there is no other
	for _, e := range s.keys {
		if e == newest {
			continue
		}
		victim = e
		if looked++; looked == looks || !e.recent.Swap(false) {
			break
		}
	}
	delete(s.keys, victim.key.ID)
}

// refuse remembers that no key had a secret with this hash, found out after begin
// returned changes.
func (c *cache) refuse(id apikey.ID, hash apikey.Hash, changes uint64) {
	if c.max == 0 {
		return
	}
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
func (c *cache) Changed(id apikey.ID) {
	c.changed.Add(1)
	s := c.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	if _, ok := s.keys[id]; ok {
		delete(s.keys, id)
		c.keys.Add(-1)
	}
	c.refused.Add(-int64(len(s.refused)))
	clear(s.refused)
}

// ChangedAll implements store.Watcher.
func (c *cache) ChangedAll() {
	c.changed.Add(1)
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
func (c *cache) Trust(until time.Time) { c.trusted.Store(int64(until.Sub(c.start))) }
