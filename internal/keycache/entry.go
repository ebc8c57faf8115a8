package keycache

import (
	"net/netip"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
)

// Entry is a key as it was found. Later changes do not show in it.
type Entry struct {
	Key    apikey.Key // read-only; Whole adds its metadata and where it was last used from
	packed string     // with the metadata; empty if the source was read, and Key is whole

	lastFrom [16]byte // Key's LastUsedFrom, which only Whole needs as a text; zero if unknown

	shown atomic.Bool // AppendJSON was called
	json  atomic.Pointer[encoded]
}

// encoded is a key's JSON, which holds from a time until another; the zero time is never.
type encoded struct {
	text        string
	from, until time.Time
}

// Whole returns the key with its metadata and its last use, as the source has it.
func (e *Entry) Whole() apikey.Key {
	key := e.Key
	if e.packed != "" {
		key.Unpack(e.packed, true)
		key.LastUsedAt, key.LastUsedFrom = e.Key.LastUsedAt, "" // may be later
		if e.lastFrom != [16]byte{} {
			key.LastUsedFrom = netip.AddrFrom16(e.lastFrom).Unmap().String()
		}
	}
	return key
}

// ETag is the whole key's.
func (e *Entry) ETag() string {
	key := e.Whole()
	return key.ETag()
}

// Of returns the entry with its owner as it is now, which is nil without settings.
func (e *Entry) Of(owner *apikey.Owner) *Entry {
	suspended := owner != nil && owner.Suspended
	if e.Key.OwnerSuspended == suspended {
		return e
	}
	key := e.Whole()
	key.OwnerSuspended = suspended
	return &Entry{Key: key} // others share e
}

// AppendJSON is the whole key's AppendJSON. A key that is shown again is encoded once: that takes a tenth of a request
// to verify it, and most of a list (BenchmarkAppendJSON).
func (e *Entry) AppendJSON(b []byte, now time.Time) []byte {
	if j := e.json.Load(); j != nil && !now.Before(j.from) && (j.until.IsZero() || now.Before(j.until)) {
		return append(b, j.text...)
	}
	key, start := e.Whole(), len(b)
	b = key.AppendJSON(b, now)
	if e.shown.Swap(true) {
		e.json.Store(&encoded{string(b[start:]), now, key.NextChange(now)})
	}
	return b
}
