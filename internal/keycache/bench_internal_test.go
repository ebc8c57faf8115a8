package keycache

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// BenchmarkCollection compares the cache with a map of keys as a store returns them: the memory of each key, and the
// time of a garbage collection with 100,000. It alternates both.
func BenchmarkCollection(b *testing.B) {
	const keys = 100_000
	ways := []struct {
		name string
		make func() any
	}{
		{"cache", func() any {
			c := New(nothing{}, Options{})
			for n := range keys {
				key := readKey(n)
				c.keep(&key, 0)
			}
			return c
		}},
		{"map", func() any {
			all := make(map[apikey.ID]*apikey.Key)
			for n := range keys {
				key := readKey(n)
				all[key.ID] = &key
			}
			return all
		}},
	}
	took, size := make([][]time.Duration, len(ways)), make([]uint64, len(ways))
	for b.Loop() {
		for i, way := range ways {
			empty := heap()
			all := way.make()
			size[i] = (heap() - empty) / keys
			start := time.Now()
			runtime.GC()
			took[i] = append(took[i], time.Since(start))
			runtime.KeepAlive(all)
		}
	}
	for i, way := range ways {
		slices.Sort(took[i])
		b.ReportMetric(float64(size[i]), "B/"+way.name)
		b.ReportMetric(float64(took[i][len(took[i])/2].Microseconds())/1000, "ms-GC/"+way.name)
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkAppendJSON appends the JSON of a key that is shown for the first time, and again.
func BenchmarkAppendJSON(b *testing.B) {
	key, now := readKey(0), time.Now()
	packed := string(key.AppendPacked(nil))
	buffer := make([]byte, 0, 1024)
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			(&Entry{Key: key, packed: packed}).AppendJSON(buffer, now)
		}
	})
	b.Run("again", func(b *testing.B) {
		e := &Entry{Key: key, packed: packed}
		b.ReportAllocs()
		for b.Loop() {
			e.AppendJSON(buffer, now)
		}
	})
}

// nothing is a source that is never read.
type nothing struct{ Source }

func (nothing) Watch(store.Watcher) {}

// readKey returns a key as from a store: each text has its own memory.
func readKey(n int) apikey.Key {
	return apikey.Key{
		ID: apikey.NewID(), Prefix: fmt.Sprintf("ak_%08d", n), CreatedAt: time.Now(), Settings: apikey.Settings{
			Owner: fmt.Sprintf("customer-%d", n/10), Name: fmt.Sprintf("key %d", n), ExpiresAt: time.Now(),
			Scopes:   apikey.ParseScopes(strings.Clone("keys:read datasets:read datasets:write")),
			Metadata: apikey.Metadata{strings.Clone("plan"): strings.Clone("pro"), strings.Clone("region"): strings.Clone("eu-west-1")},
		},
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
