package keycache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

// TestShard puts, replaces, finds, uses, removes and evicts keys in random order. Entries found at any time keep their
// values, and the memory follows the keys.
func TestShard(t *testing.T) {
	t.Parallel()
	var s shard
	s.clear()
	keys := make([]apikey.Key, 200)
	for i := range keys {
		keys[i] = readKey(i)
		keys[i].CreatedAt, keys[i].ExpiresAt = fromMillis(int64(i)), fromMillis(int64(i)<<30)
		keys[i].SecretHash[0], keys[i].OldSecretHash[31] = 1, byte(i)
	}
	held := make(map[apikey.ID]apikey.Key)
	type found struct {
		entry *Entry
		want  apikey.Key
	}
	var all []found
	for round := range 10_000 {
		key := &keys[rand.IntN(len(keys))]
		switch rand.IntN(8) {
		case 0, 1, 2:
			key.Name = strings.Repeat("n", rand.IntN(300)+1)
			key.LastUsedAt, key.LastUsedFrom = fromMillis(rand.Int64N(1000)+1), []string{"", "192.0.2.7", "2001:db8::7"}[rand.IntN(3)]
			s.remove(key.ID)
			s.put(key, key.AppendPacked(nil))
			held[key.ID] = *key
			if len(held) > len(keys)/2 {
				before := len(s.keys)
				s.evict(key.ID)
				if len(s.keys) != before-1 || s.find(key.ID) == nil {
					t.Fatalf("of %d keys, %d are left, the newest among them: %t", before, len(s.keys), s.find(key.ID) != nil)
				}
				for id := range held {
					if _, ok := s.keys[id]; !ok {
						delete(held, id)
					}
				}
			}
		case 3:
			_, want := held[key.ID]
			if got := s.remove(key.ID); got != want {
				t.Fatalf("removed: %t, want %t", got, want)
			}
			delete(held, key.ID)
		case 4:
			ms, from := rand.Int64N(2000), []string{"", "192.0.2.8", "2001:db8::8"}[rand.IntN(3)]
			address, _ := netip.ParseAddr(from)
			s.used(key.ID, ms, address)
			if k, ok := held[key.ID]; ok && ms > k.LastUsedAt.UnixMilli() {
				k.LastUsedAt, k.LastUsedFrom = fromMillis(ms), from
				held[key.ID] = k
			}
		default:
			e := s.find(key.ID)
			want, ok := held[key.ID]
			if (e != nil) != ok {
				t.Fatalf("round %d: found: %t, want %t", round, e != nil, ok)
			}
			if e != nil {
				all = append(all, found{e, want})
			}
		}
	}
	for _, f := range all {
		if got := f.entry.Whole(); !reflect.DeepEqual(f.want, got) {
			t.Fatalf("an entry differs (-want +got):\n%s", cmp.Diff(f.want, got))
		}
	}
	if s.live == 0 || s.text.Cap() > 4*s.live || len(s.slots) > len(keys)/2+1 || len(s.slots) != len(s.keys)+len(s.free) {
		t.Errorf("%d keys with %d bytes take %d bytes and %d slots, of which %d are free",
			len(s.keys), s.live, s.text.Cap(), len(s.slots), len(s.free))
	}
}

// versions is a source of keys whose names are their versions.
type versions struct {
	Source
	watcher store.Watcher
	ids     []apikey.ID
	current []atomic.Int64
	changed []atomic.Int64 // the last change that has returned
}

func (v *versions) Watch(w store.Watcher) { v.watcher = w }

func (v *versions) Key(_ context.Context, ref store.Ref) (apikey.Key, error) {
	for i, id := range v.ids {
		if id == ref.ID {
			name := fmt.Sprint(v.current[i].Load())
			return apikey.Key{ID: id, Settings: apikey.Settings{Name: name, Metadata: apikey.Metadata{"version": name}}}, nil
		}
	}
	return apikey.Key{}, store.ErrNotFound
}

func (v *versions) change(i int) {
	n := v.current[i].Add(1)
	if rand.IntN(50) == 0 {
		v.watcher.ChangedAll()
	} else {
		v.watcher.Changed(v.ids[i])
	}
	v.changed[i].Store(n)
}

// After a change has returned, nobody finds an earlier version, whatever else happens at the same time.
func TestNothingOldIsFound(t *testing.T) {
	t.Parallel()
	const keys, rounds = 40, 1500
	v := &versions{ids: make([]apikey.ID, keys), current: make([]atomic.Int64, keys), changed: make([]atomic.Int64, keys)}
	for i := range v.ids {
		v.ids[i] = apikey.NewID()
		v.ids[i][len(v.ids[i])-1] = byte(i % 2) // two shards, so that they share texts
	}
	c := New(v, Options{Size: keys / 2})
	c.Trust(time.Now().Add(time.Hour))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range rounds {
				i := rand.IntN(keys)
				if rand.IntN(10) == 0 {
					v.change(i)
					continue
				}
				least := v.changed[i].Load()
				e, err := c.Find(t.Context(), v.ids[i], apikey.Hash{}, c.Now())
				if err != nil || e == nil {
					t.Errorf("found %v, %v", e, err)
					return
				}
				var version int64
				if _, err := fmt.Sscan(e.Key.Name, &version); err != nil || version < least || e.Key.ID != v.ids[i] ||
					e.Whole().Metadata["version"] != e.Key.Name {
					t.Errorf("found version %s with %v after %d had returned", e.Key.Name, e.Whole().Metadata, least)
				}
				c.Record(&e.Key, &Decision{At: c.Now(), Used: true})
			}
		})
	}
	all.Wait()
	if s := c.Stats(); s.Hits == 0 || s.Evicted == 0 || s.Misses == 0 {
		t.Errorf("this shows too little: %+v", s)
	}
}

// The JSON of an entry is that of its key at each moment, whichever way the clock goes.
func TestEntryJSON(t *testing.T) {
	t.Parallel()
	for n := range 50 {
		key := readKey(n)
		moments := []int64{rand.Int64N(20), rand.Int64N(20), rand.Int64N(20)}
		key.CreatedAt, key.ExpiresAt = fromMillis(0), fromMillis(moments[0])
		if n%2 == 0 {
			key.OldSecretUntil = fromMillis(moments[1])
		}
		if n%5 == 0 {
			key.RevokedAt = fromMillis(moments[2])
		}
		e := &Entry{Key: key, packed: string(key.AppendPacked(nil))}
		for range 100 {
			now := fromMillis(rand.Int64N(22))
			want := string(key.AppendJSON([]byte("["), now))
			if got := string(e.AppendJSON([]byte("["), now)); got != want {
				t.Fatalf("at %s of a key that ends at %s, with a grace until %s:\n%s, want\n%s",
					now, key.ExpiresAt, key.OldSecretUntil, got, want)
			}
		}
	}
}
