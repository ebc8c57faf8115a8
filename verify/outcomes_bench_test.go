package verify_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/verify"
)

// BenchmarkVerifyOutcomes measures each outcome. The time of a refusal must not reveal whether an id exists.
func BenchmarkVerifyOutcomes(b *testing.B) {
	db := databasetest.Open(b, databasetest.NewPath(b))
	key, secret := addKey(b, db, apikey.Settings{Name: "ci"})
	good := secret.Reveal()
	kinds := []struct {
		name   string
		code   verify.Code
		secret func() string
	}{
		{"malformed", verify.NotFound, func() string { return good[:len(good)-1] + "-" }},
		{"unknown", verify.NotFound, func() string { return apikey.NewSecret("ak", apikey.NewID()).Reveal() }},
		{"wrong-secret", verify.NotFound, func() string { return apikey.NewSecret("ak", key.ID).Reveal() }},
		{"good", verify.Valid, func() string { return good }},
	}
	for _, memory := range []struct {
		name             string
		remembered, many int // size of the cache, and number of secrets
	}{
		{"never-seen", 1 << 8, 1 << 14},
		{"seen-before", 1 << 14, 1 << 8},
	} {
		for _, kind := range kinds {
			b.Run(memory.name+"/"+kind.name, func(b *testing.B) {
				verifier := verify.New(keycache.New(db, keycache.Options{Size: memory.remembered}), slog.New(slog.DiscardHandler), verify.Options{})
				secrets := make([]string, memory.many)
				for i := range secrets {
					secrets[i] = kind.secret()
				}
				ctx := context.WithoutCancel(b.Context())
				if _, err := verifier.Admit(ctx, good, verify.Call{Cost: 1}); err != nil { // the key is in use
					b.Fatal(err)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if result, err := verifier.Admit(ctx, secrets[i%memory.many], verify.Call{Cost: 1}); err != nil || result.Code != kind.code {
						b.Fatalf("result %s, error %v", result.Code, err)
					}
					i++
				}
			})
		}
	}
}

// BenchmarkUnknownAndWrongSecret alternates unknown ids and wrong secrets, so that other load affects both
// alike, and reports the 10th and 50th percentile of each.
func BenchmarkUnknownAndWrongSecret(b *testing.B) {
	db := databasetest.Open(b, databasetest.NewPath(b))
	ids := make([]apikey.ID, 300)
	for i := range ids {
		key, _ := addKey(b, db, apikey.Settings{Name: fmt.Sprint("key ", i)})
		ids[i] = key.ID
	}
	verifier := verify.New(keycache.New(db, keycache.Options{Size: 1 << 8}), slog.New(slog.DiscardHandler), verify.Options{})
	ctx := context.WithoutCancel(b.Context())
	var took [2][]time.Duration
	for b.Loop() {
		id := ids[len(took[0])%len(ids)]
		for kind, secret := range [2]string{
			apikey.NewSecret("ak", apikey.NewID()).Reveal(), apikey.NewSecret("ak", id).Reveal(),
		} {
			start := time.Now()
			if result, err := verifier.Admit(ctx, secret, verify.Call{Cost: 1}); err != nil || result.Code != verify.NotFound {
				b.Fatalf("result %s, error %v", result.Code, err)
			}
			took[kind] = append(took[kind], time.Since(start))
		}
	}
	for kind, name := range [2]string{"unknown", "wrong"} {
		slices.Sort(took[kind])
		for _, percent := range []int{10, 50} {
			b.ReportMetric(float64(took[kind][len(took[kind])*percent/100].Nanoseconds()), fmt.Sprintf("ns/%s-p%d", name, percent))
		}
	}
}
