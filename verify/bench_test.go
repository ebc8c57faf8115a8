package verify_test

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/verify"
)

// BenchmarkHit verifies a cached key, and compares the time with that of the SHA-256 of its secret. It alternates
// both, so that a busy machine slows both.
func BenchmarkHit(b *testing.B) {
	v, secret := newBenchmark(b, keycache.Options{})
	remember(b, v, secret)
	text, bytes, ctx := secret.Reveal(), []byte(secret.Reveal()), context.Background()
	const round = 1000
	var hashing, verifying time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		for range round {
			sha256.Sum256(bytes)
		}
		middle := time.Now()
		for range round {
			if r, err := v.Verify(ctx, text, verify.Call{Scopes: apikey.Scopes{"datasets:read"}}); err != nil || r.Code != verify.Valid {
				b.Fatal(r.Code, err)
			}
		}
		hashing += middle.Sub(start)
		verifying += time.Since(middle)
	}
	b.ReportMetric(float64(verifying.Nanoseconds())/float64(b.N*round), "ns/hit")
	b.ReportMetric(float64(verifying)/float64(hashing), "x-SHA-256")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkQuota compares a call with a key that has a quota with one with a key that has none. It alternates
// both and reports the quickest round of each, because other load only adds to them.
func BenchmarkQuota(b *testing.B) {
	db := databasetest.Open(b, databasetest.NewPath(b))
	v := verify.New(keycache.New(db, keycache.Options{}), slog.New(slog.DiscardHandler), verify.Options{Quotas: db})
	_, plain := addKey(b, db, apikey.Settings{Name: "plain"})
	_, limited := addKey(b, db, apikey.Settings{Name: "limited",
		Quota: apikey.Quota{Limit: apikey.MaxQuota, Period: apikey.Month, StartsOn: 15}})
	ctx, call := context.Background(), verify.Call{Cost: 1}
	const round = 1000
	least := [2]time.Duration{time.Hour, time.Hour}
	for b.Loop() {
		for i, secret := range []string{plain.Reveal(), limited.Reveal()} {
			start := time.Now()
			for range round {
				if r, err := v.Admit(ctx, secret, call); err != nil || r.Code != verify.Valid {
					b.Fatal(r.Code, err)
				}
			}
			least[i] = min(least[i], time.Since(start))
		}
	}
	b.ReportMetric(float64(least[0].Nanoseconds())/round, "ns/plain")
	b.ReportMetric(float64(least[1].Nanoseconds())/round, "ns/quota")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkMiss verifies a key that is not cached.
func BenchmarkMiss(b *testing.B) {
	v, secret := newBenchmark(b, keycache.Options{Size: -1})
	text := secret.Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if r, err := v.Verify(b.Context(), text, verify.Call{Scopes: apikey.Scopes{"datasets:read"}}); err != nil || r.Code != verify.Valid {
			b.Fatal(r.Code, err)
		}
	}
}

// newBenchmark returns a Verifier over a store of one key.
func newBenchmark(b *testing.B, o keycache.Options) (*verify.Verifier, apikey.Secret) {
	b.Helper()
	db := databasetest.Open(b, databasetest.NewPath(b))
	_, secret := addKey(b, db, apikey.Settings{Name: "n", Scopes: apikey.Scopes{"datasets:read"}})
	return verify.New(keycache.New(db, o), slog.New(slog.DiscardHandler), verify.Options{}), secret
}
