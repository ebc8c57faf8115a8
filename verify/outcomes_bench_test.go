package verify_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store/sqlstore"
	"apikeyd/verify"
)

// BenchmarkVerifyOutcomes shows what each outcome costs: whether an id exists must not
// show in the time that a refusal takes.
func BenchmarkVerifyOutcomes(b *testing.B) {
	db, err := sqlstore.Open(b.Context(), sqlstore.Options{Path: filepath.Join(b.TempDir(), "keys.db"), Serve: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }() // it is thrown away
	now := time.Now()
	key, secret, err := apikey.Policy{}.NewKey(now, apikey.Draft{Owner: "team", Name: "ci", ExpiresAt: now.AddDate(1, 0, 0)})
	if err != nil {
		b.Fatal(err)
	}
	if err := db.CreateKey(b.Context(), operator, key); err != nil {
		b.Fatal(err)
	}
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
		remembered, many int // how many secrets are remembered, and how many are tried in turns
	}{
		{"never-seen", 1 << 8, 1 << 14},
		{"seen-before", 1 << 14, 1 << 8},
	} {
		for _, kind := range kinds {
			b.Run(memory.name+"/"+kind.name, func(b *testing.B) {
				verifier := verify.New(db, slog.New(slog.DiscardHandler), verify.Options{CacheSize: memory.remembered})
				secrets := make([]string, memory.many)
				for i := range secrets {
					secrets[i] = kind.secret()
				}
				ctx := context.WithoutCancel(b.Context())
				if _, err := verifier.Admit(ctx, good); err != nil { // somebody uses the key
					b.Fatal(err)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if result, err := verifier.Admit(ctx, secrets[i%memory.many]); err != nil || result.Code != kind.code {
						b.Fatalf("result %s, error %v", result.Code, err)
					}
					i++
				}
			})
		}
	}
}
