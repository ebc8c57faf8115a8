package verify

import (
	"slices"

	"apikeyd/store"
)

// Count adds a decision for an integrator's API to the usage.
func (v *Verifier) Count(r Result) {
	v.Keys.Count(r.Key, slices.Index(store.Outcomes[:], string(r.Code)), r.At)
}
