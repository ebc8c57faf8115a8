package ratelimit_test

import (
	"testing"
	"time"

	"apikeyd/ratelimit"
)

func BenchmarkTake(b *testing.B) {
	for _, bb := range []struct {
		name     string
		subjects int
	}{
		{"one subject", 1},
		{"100000 subjects", 100_000},
	} {
		b.Run(bb.name, func(b *testing.B) {
			table := ratelimit.New[int](0)
			limit := per(100, time.Minute)
			i, now := 0, start
			b.ReportAllocs()
			for b.Loop() {
				table.Take(i%bb.subjects, limit, now)
				i++
				now = now.Add(time.Microsecond)
			}
		})
	}
}
