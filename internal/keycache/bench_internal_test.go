package keycache

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
)

// BenchmarkEntry compares entries with keys as a store returns them: the memory of each, and the time of a garbage
// collection with 100,000. It alternates both.
func BenchmarkEntry(b *testing.B) {
	const keys = 100_000
	var scopes scopeSets
	ways := []struct {
		name string
		make func(apikey.Key) *Entry
	}{
		{"packed", scopes.newEntry},
		{"as-read", func(key apikey.Key) *Entry { return &Entry{Key: key} }},
	}
	took, size := make([][]time.Duration, len(ways)), make([]uint64, len(ways))
	for b.Loop() {
		for i, way := range ways {
			empty := heap()
			entries := make([]*Entry, keys)
			for n := range entries {
				entries[n] = way.make(readKey(n))
			}
			size[i] = (heap() - empty) / keys
			start := time.Now()
			runtime.GC()
			took[i] = append(took[i], time.Since(start))
			runtime.KeepAlive(entries)
		}
	}
	for i, way := range ways {
		slices.Sort(took[i])
		b.ReportMetric(float64(size[i]), "B/"+way.name)
		b.ReportMetric(float64(took[i][len(took[i])/2].Microseconds())/1000, "ms-GC/"+way.name)
	}
	b.ReportMetric(0, "ns/op")
}

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
