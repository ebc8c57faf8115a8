package ratelimit_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/ratelimit"
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

// BenchmarkShared takes calls of subjects in steady use, which the node holds in advance.
func BenchmarkShared(b *testing.B) {
	for _, bb := range []struct {
		name     string
		subjects int
	}{
		{"one subject", 1},
		{"100000 subjects", 100_000},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var asked atomic.Int64
			node := ratelimit.NewShared(func(_ context.Context, _ int, _ apikey.RateLimit, calls int) (ratelimit.Grant, error) {
				asked.Add(1)
				return ratelimit.Grant{Calls: calls}, nil
			}, time.Now)
			limit, ctx, i := per(1_000_000, time.Hour), context.Background(), 0
			for subject := range bb.subjects { // until there are calls in advance
				for range 20 {
					_, _ = node.Take(ctx, subject, limit)
				}
			}
			asked.Store(0)
			b.ReportAllocs()
			for b.Loop() {
				if quota, err := node.Take(ctx, i%bb.subjects, limit); err != nil || !quota.Allowed {
					b.Fatal(quota, err)
				}
				i++
			}
			b.ReportMetric(float64(asked.Load())/float64(b.N), "questions/op")
		})
	}
}
