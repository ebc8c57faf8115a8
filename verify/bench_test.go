package verify_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/store/sqlstore"
	"apikeyd/verify"
)

// BenchmarkVerify verifies what was verified before, and what no cache can know.
func BenchmarkVerify(b *testing.B) {
	db, err := sqlstore.Open(b.Context(), sqlstore.Options{Path: filepath.Join(b.TempDir(), "keys.db"), Serve: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	verifier := verify.New(db, slog.New(slog.DiscardHandler), time.Now)
	var ids []apikey.ID
	var many []string
	for i := range 256 {
		now := time.Now()
		key, secret, err := apikey.Policy{}.NewKey(now, apikey.Draft{
			Owner: "customer", Name: fmt.Sprintf("key %d", i), Scopes: apikey.Scopes{"datasets:read"},
			ExpiresAt: now.AddDate(1, 0, 0),
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := db.CreateKey(b.Context(), operator, key); err != nil {
			b.Fatal(err)
		}
		ids, many = append(ids, key.ID), append(many, secret.Reveal())
	}
	unknown := make([]string, 4096)
	for i := range unknown {
		unknown[i] = apikey.NewSecret("ak", apikey.NewID()).Reveal()
	}
	for _, bb := range []struct {
		name    string
		secrets []string // in turn
		code    verify.Code
	}{
		{"hit one key", many[:1], verify.Valid},
		{"hit 256 keys", many, verify.Valid},
		{"wrong secret of a key", []string{apikey.NewSecret("ak", ids[0]).Reveal()}, verify.NotFound},
		{"unknown ids", unknown, verify.NotFound},
		{"malformed", []string{"hunter2"}, verify.NotFound},
	} {
		b.Run(bb.name, func(b *testing.B) {
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				result, err := verifier.Verify(b.Context(), bb.secrets[i%len(bb.secrets)], "datasets:read")
				if err != nil || result.Code != bb.code {
					b.Fatal(result.Code, err)
				}
				i++
			}
		})
	}
}
