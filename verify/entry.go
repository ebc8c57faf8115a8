package verify

import (
	"encoding/json"
	"sync"

	"apikeyd/apikey"
)

const (
	// maxText is how many bytes the texts of a key may have for it to be remembered: a few
	// greedy ones shall not take the memory of all.
	maxText = 2048
	// maxScopeSets bounds how many sets of scopes are shared.
	maxScopeSets = 4096
)

// scopeSets are the sets of scopes that remembered keys have: a few for many keys.
type scopeSets struct {
	mu   sync.Mutex
	sets map[string]apikey.Scopes
}

// noMetadata is shared by the keys that have none, and by entries; nobody writes to it.
var noMetadata = apikey.Metadata{}

// newEntry makes what is remembered of a key, in little memory.
func (s *scopeSets) newEntry(key apikey.Key) *entry {
	var metadata []byte
	if len(key.Metadata) > 0 {
		metadata, _ = json.Marshal(key.Metadata) // a map of strings is always JSON
	}
	e := &entry{key: key}
	e.key.Metadata = noMetadata
	scopes := key.Scopes.String()
	e.large = len(key.Owner)+len(key.Name)+len(metadata)+len(scopes) > maxText
	if !e.large {
		e.key.Scopes = s.share(scopes, key.Scopes)
	}
	// One text in place of four, for the garbage collector to look at.
	text := key.Owner + key.Name + key.Prefix + string(metadata)
	for _, part := range []*string{&e.key.Owner, &e.key.Name, &e.key.Prefix} {
		n := len(*part)
		*part, text = text[:n], text[n:]
	}
	e.metadata = text
	return e
}

// share returns the same set, in memory that others use as well.
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
