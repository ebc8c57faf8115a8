package verify_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/netip"
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
	call := verify.Call{Scopes: apikey.Scopes{"datasets:read"}}
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
			if r, err := v.Verify(ctx, text, call); err != nil || r.Code != verify.Valid {
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

// BenchmarkDecision makes and counts decisions about cached keys, one after another and at once.
func BenchmarkDecision(b *testing.B) {
	for name, keys := range map[string]int{"one-key": 1, "1000-keys": 1000} {
		db := databasetest.Open(b, databasetest.NewPath(b))
		v := verify.New(keycache.New(db, keycache.Options{}), slog.New(slog.DiscardHandler), verify.Options{})
		secrets := make([]string, keys)
		for i := range secrets {
			_, secret := addKey(b, db, apikey.Settings{Name: fmt.Sprint(i), Scopes: apikey.Scopes{"datasets:read"}})
			secrets[i] = secret.Reveal()
		}
		call := verify.Call{Scopes: apikey.Scopes{"datasets:read"}, Cost: 1, From: netip.MustParseAddr("203.0.113.7")}
		decide := func(i int) {
			r, err := v.Admit(context.Background(), secrets[i%keys], call)
			if err != nil || r.Code != verify.Valid {
				b.Error(r.Code, err)
			}
		}
		for i := range keys {
			decide(i)
		}
		b.Run(name+"/alone", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				decide(i)
			}
		})
		b.Run(name+"/at-once", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for i := 0; p.Next(); i++ {
					decide(i)
				}
			})
		})
	}
}

// BenchmarkLimits compares a call with a key that has a quota, and with one that has networks, with one that has
// neither. It alternates them and reports the quickest round of each, because other load only adds to them.
func BenchmarkLimits(b *testing.B) {
	db := databasetest.Open(b, databasetest.NewPath(b))
	v := verify.New(keycache.New(db, keycache.Options{}), slog.New(slog.DiscardHandler), verify.Options{Quotas: db})
	networks := func(n int) (all apikey.CIDRs) {
		for i := range n {
			all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n - 1 - i)}), 16))
		}
		return all
	}
	names, secrets := []string{"ns/plain", "ns/quota", "ns/network", "ns/32-networks"}, []string{}
	for i, s := range []apikey.Settings{
		{}, {Quota: apikey.Quota{Limit: apikey.MaxQuota, Period: apikey.Month, StartsOn: 15}},
		{AllowedCIDRs: networks(1)}, {AllowedCIDRs: networks(32)},
	} {
		s.Name = names[i]
		_, secret := addKey(b, db, s)
		secrets = append(secrets, secret.Reveal())
	}
	ctx, call := context.Background(), verify.Call{Cost: 1, From: netip.MustParseAddr("10.0.0.1")}
	const round = 1000
	least := []time.Duration{time.Hour, time.Hour, time.Hour, time.Hour}
	for b.Loop() {
		for i, secret := range secrets {
			start := time.Now()
			for range round {
				if r, err := v.Admit(ctx, secret, call); err != nil || r.Code != verify.Valid {
					b.Fatal(r.Code, err)
				}
			}
			least[i] = min(least[i], time.Since(start))
		}
	}
	for i, name := range names {
		b.ReportMetric(float64(least[i].Nanoseconds())/round, name)
	}
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
