package verify

import "apikeyd/apikey"

// Remembers reports whether a verification of the secret would not ask the store.
func (v *Verifier) Remembers(secret apikey.Secret) bool {
	found, _ := v.cache.find(secret.ID(), secret.Hash(), v.now())
	return found != nil
}

// Remembered returns how many keys and refused secrets are remembered.
func (v *Verifier) Remembered() (keys, refused int) {
	for i := range v.cache.shards {
		s := &v.cache.shards[i]
		s.mu.RLock()
		keys += len(s.keys)
		refused += len(s.refused)
		s.mu.RUnlock()
	}
	return keys, refused
}

// Shortcuts returns how many names and pages are remembered.
func (v *Verifier) Shortcuts() (names, pages int) {
	s := &v.cache.shortcuts
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.names), len(s.pages)
}

// Unsaved returns how many uses wait to be written.
func (v *Verifier) Unsaved() int {
	v.uses.mu.Lock()
	defer v.uses.mu.Unlock()
	return len(v.uses.entries) + len(v.uses.pending)
}

// Counted returns how many entries have counts that no Meter knows.
func (v *Verifier) Counted() int {
	v.decisions.mu.Lock()
	defer v.decisions.mu.Unlock()
	return len(v.decisions.entries)
}
