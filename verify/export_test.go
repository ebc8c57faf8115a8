package verify

// Counted returns how many keys have counts that were not metered yet.
func (v *Verifier) Counted() int {
	v.decisions.mu.Lock()
	defer v.decisions.mu.Unlock()
	return len(v.decisions.counts)
}
