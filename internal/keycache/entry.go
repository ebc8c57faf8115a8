package keycache

import (
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
)

const (
	// maxText limits a cached key's text, in bytes, so that a few large keys cannot fill the memory.
	maxText = 2048
	// maxScopeSets limits the shared sets of scopes.
	maxScopeSets = 4096
)

// Entry is a key with the traces of decisions about it. It stays valid after its eviction.
type Entry struct {
	Key      apikey.Key  // read-only; Whole adds its metadata
	metadata string      // as JSON; empty for none
	large    bool        // too large to cache
	kept     bool        // it is, or was, in the cache
	recent   atomic.Bool // used since an eviction last looked at it

	lastUse atomic.Int64 // milliseconds since 1970
	unsaved atomic.Bool  // lastUse must be written to the source
	saved   atomic.Int64 // last use written to the source since the key was read

	// Decided is a counter for the cache's user.
	Decided atomic.Uint64
}

// Kept reports whether the entry is, or was, in the cache. Concurrent users of the key then share it.
func (e *Entry) Kept() bool { return e.kept }

// Whole returns the key with its metadata and its last use, as the source has it.
func (e *Entry) Whole() apikey.Key {
	key := e.Key
	key.LastUsedAt = e.used()
	if e.metadata != "" {
		key.Metadata = nil                                    // the entry's is shared
		_ = json.Unmarshal([]byte(e.metadata), &key.Metadata) // newEntry wrote it
	}
	return key
}

func (e *Entry) used() time.Time {
	if ms := e.saved.Load(); ms > 0 {
		return fromMillis(ms)
	}
	return e.Key.LastUsedAt
}

// scopeSets holds the sets of scopes of cached keys: many keys share a few sets.
type scopeSets struct {
	mu   sync.Mutex
	sets map[string]apikey.Scopes
}

// noMetadata is the metadata of all keys without any, and of all entries. It is never written to.
var noMetadata = apikey.Metadata{}

// newEntry returns a new entry for a key. Metadata as JSON and shared scopes halve both the memory
// that a key takes (870 to 460 bytes) and the time of a garbage collection (BenchmarkEntry).
func (s *scopeSets) newEntry(key apikey.Key) *Entry {
	e := &Entry{Key: key}
	if len(key.Metadata) > 0 {
		metadata, _ := json.Marshal(key.Metadata) // a map of strings is always JSON
		e.metadata = string(metadata)
	}
	e.Key.Metadata = noMetadata
	scopes := key.Scopes.String()
	e.large = len(key.Owner)+len(key.Name)+len(e.metadata)+len(scopes) > maxText
	if !e.large {
		e.Key.Scopes = s.share(scopes, key.Scopes)
	}
	return e
}

// share returns an equal set that other keys use too.
func (s *scopeSets) share(text string, scopes apikey.Scopes) apikey.Scopes {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.sets[text]; ok {
		return known
	}
	if s.sets == nil || len(s.sets) >= maxScopeSets {
		s.sets = make(map[string]apikey.Scopes)
	}
	s.sets[text] = scopes
	return scopes
}
