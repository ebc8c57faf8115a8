package keycache

import "apikeyd/apikey"

// Entry is a key as it was found. Later changes do not show in it.
type Entry struct {
	Key    apikey.Key // read-only; Whole adds its metadata
	packed string     // with the metadata; empty if the source was read, and Key is whole
}

// Whole returns the key with its metadata and its last use, as the source has it.
func (e *Entry) Whole() apikey.Key {
	key := e.Key
	if e.packed != "" {
		key.Unpack(e.packed, true)
		key.LastUsedAt = e.Key.LastUsedAt // may be later
	}
	return key
}
