package keycache

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// unwritable is a source that cannot be written.
type unwritable struct{ versions }

func (*unwritable) RecordUses(context.Context, []store.Use) error { return store.ErrUnavailable }

// While the source cannot be written, what waits is bounded, and what is lost is counted.
func TestBoundOfUses(t *testing.T) {
	t.Parallel()
	c := New(&unwritable{}, Options{})
	const more = 1000
	for i := range keptUses + more {
		key := apikey.Key{ID: apikey.ID{1}}
		binary.BigEndian.PutUint32(key.ID[12:], uint32(i))
		c.Record(&key, &Decision{At: time.Unix(0, 0), Counted: true})
	}
	for range 2 {
		if s := c.Stats(); s.UnsavedUses != keptUses || s.LostUses != more {
			t.Errorf("%d uses wait and %d are lost, want %d and %d", s.UnsavedUses, s.LostUses, keptUses, more)
		}
		if err := c.Flush(t.Context()); err == nil {
			t.Error("it was written")
		}
	}
}

// The networks and scopes of a key that wait are bounded.
func TestBoundOfSeen(t *testing.T) {
	t.Parallel()
	c := New(&unwritable{}, Options{})
	key := apikey.Key{ID: apikey.ID{1}, Settings: apikey.Settings{Scopes: apikey.Scopes{"a", "b"}}}
	for i := range 100 {
		from := netip.AddrFrom4([4]byte{10, byte(i), 1, 1})
		c.Record(&key, &Decision{At: time.Unix(int64(i), 0), Used: true, From: from, Scopes: apikey.Scopes{"b", "a", "c"}})
	}
	r := c.uses.parts[shardOf(key.ID)].records[0]
	if use := r.use(); len(use.Networks) != maxNetworks || !use.MoreNetworks || len(use.Scopes) != 2 || use.Scopes[0] != "b" ||
		!use.LastUsedAt.Equal(time.Unix(99, 0)) || use.LastUsedFrom != netip.AddrFrom4([4]byte{10, 99, 1, 1}) {
		t.Errorf("%+v", use)
	}
}
