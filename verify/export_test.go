package verify

// Counted returns how many entries have counts that no Meter knows.
func (v *Verifier) Counted() int {
	v.decisions.mu.Lock()
	defer v.decisions.mu.Unlock()
	return len(v.decisions.entries)
}
