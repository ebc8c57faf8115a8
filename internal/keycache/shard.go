package keycache

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"apikeyd/apikey"
)

// shard is a part of the cache, with its own lock. It holds its keys without pointers, so that garbage collections
// have nothing to follow: keys leads to slots, and these to packed keys in one text.
//
// The text only grows, since entries share its memory. When it is full, its live parts move to another one. Nothing
// else may keep entries' texts for long, because they keep the whole text.
type shard struct {
	mu sync.RWMutex

	hits, misses atomic.Uint64 // on the lock's cache line, which a decision reads anyway

	changes uint64
	keys    map[apikey.ID]int32 // the key's slot
	refused map[apikey.Hash]struct{}

	slots []slot
	free  []int32          // slots without a key
	hand  int              // the slot where the next eviction starts to look
	text  *strings.Builder // its String shares its memory
	live  int              // bytes of text that slots use

	// Entries found lately, so that hits of the keys in most use allocate nothing. They are few enough to cost a
	// garbage collection nothing either.
	hot [16]atomic.Pointer[Entry]
}

// slot holds one key.
type slot struct {
	id           apikey.ID
	start, end   int         // in text; both zero if the slot is free
	lastUsed     int64       // as the source has it, in milliseconds since 1970; 0 for never
	lastFrom     [16]byte    // likewise, an IPv6 address; zero if unknown
	recentlyUsed atomic.Bool // since an eviction last looked at it
}

func (s *shard) clear() {
	s.keys = make(map[apikey.ID]int32)
	s.refused = make(map[apikey.Hash]struct{})
	s.slots, s.free, s.hand = nil, nil, 0
	s.text, s.live = new(strings.Builder), 0
	s.cool()
}

// cool forgets the hot entries.
func (s *shard) cool() {
	for i := range s.hot {
		s.hot[i].Store(nil)
	}
}

// find returns a key, or nil.
func (s *shard) find(id apikey.ID) *Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok := s.keys[id]
	if !ok {
		return nil
	}
	slot := &s.slots[i]
	if !slot.recentlyUsed.Load() {
		slot.recentlyUsed.Store(true)
	}
	hot := s.hotAt(i)
	if e := hot.Load(); e != nil && e.Key.ID == id {
		return e
	}
	e := &Entry{packed: s.packed(i)}
	e.Key.Unpack(e.packed, false)
	if slot.lastUsed != 0 {
		e.Key.LastUsedAt, e.lastFrom = fromMillis(slot.lastUsed), slot.lastFrom
	}
	hot.Store(e)
	return e
}

// hotAt returns the place for the entry of a slot, which it shares with a few other slots.
func (s *shard) hotAt(i int32) *atomic.Pointer[Entry] { return &s.hot[int(i)%len(s.hot)] }

// refuses reports whether no key has a secret with this hash.
func (s *shard) refuses(hash apikey.Hash) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.refused[hash]
	return ok
}

// count returns the shard's count of changes.
func (s *shard) count() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.changes
}

// used records a last use that the source has now. It counts as a change: the key may have been read before it.
func (s *shard) used(id apikey.ID, ms int64, from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	if i, ok := s.keys[id]; ok && ms > s.slots[i].lastUsed {
		s.slots[i].lastUsed, s.slots[i].lastFrom = ms, [16]byte{}
		if from.IsValid() {
			s.slots[i].lastFrom = from.As16()
		}
		s.hotAt(i).Store(nil)
	}
}

// packed returns the packed key in a slot.
func (s *shard) packed(i int32) string { return s.text.String()[s.slots[i].start:s.slots[i].end] }

// put adds a key that is not in the shard.
func (s *shard) put(key *apikey.Key, packed []byte) {
	if s.text.Cap()-s.text.Len() < len(packed) {
		s.move(len(packed))
	}
	if len(s.free) == 0 {
		s.slots = append(s.slots, slot{})
		s.free = append(s.free, int32(len(s.slots)-1)) //nolint:gosec // far fewer
	}
	i := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	slot := &s.slots[i]
	slot.id, slot.start = key.ID, s.text.Len()
	s.text.Write(packed)
	slot.end = s.text.Len()
	if !key.LastUsedAt.IsZero() {
		slot.lastUsed = key.LastUsedAt.UnixMilli()
	}
	if from, err := netip.ParseAddr(key.LastUsedFrom); err == nil {
		slot.lastFrom = from.As16()
	}
	s.keys[key.ID] = i
	s.live += len(packed)
}

// move moves the packed keys to a text with room for half as much again, and for more.
func (s *shard) move(more int) {
	const smallest = 1 << 10
	text := new(strings.Builder)
	text.Grow(max(smallest, s.live*3/2+more))
	for i := range s.slots {
		start := text.Len()
		text.WriteString(s.packed(int32(i)))
		s.slots[i].start, s.slots[i].end = start, text.Len()
	}
	s.text = text
	s.cool() // they keep the old text
}

// remove removes a key, and reports whether it was there.
func (s *shard) remove(id apikey.ID) bool {
	i, ok := s.keys[id]
	if !ok {
		return false
	}
	slot := &s.slots[i]
	s.live -= slot.end - slot.start
	slot.id, slot.start, slot.end, slot.lastUsed, slot.lastFrom = apikey.ID{}, 0, 0, 0, [16]byte{}
	slot.recentlyUsed.Store(false)
	s.hotAt(i).Store(nil)
	delete(s.keys, id)
	s.free = append(s.free, i)
	return true
}

// evict removes one key: the next that was not used recently, or the last of a few. It removes newest only if
// there is no other.
func (s *shard) evict(newest apikey.ID) {
	const looks = 8
	victim, looked := newest, 0
	for range s.slots {
		slot := &s.slots[s.hand%len(s.slots)]
		s.hand = s.hand%len(s.slots) + 1
		if slot.id == newest || slot.id.IsZero() {
			continue
		}
		victim = slot.id
		if looked++; looked == looks || !slot.recentlyUsed.Swap(false) {
			break
		}
	}
	s.remove(victim)
}
