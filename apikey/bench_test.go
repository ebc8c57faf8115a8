package apikey_test

import (
	"testing"
	"time"

	"apikeyd/apikey"
)

func BenchmarkParseSecret(b *testing.B) {
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	cut := secret[:len(secret)-1]
	for _, bb := range []struct {
		name, secret string
		good         bool
	}{
		{"good", secret, true},
		{"wrong checksum", cut + "-", false},
		{"too short", cut, false},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := apikey.ParseSecret(bb.secret); (err == nil) != bb.good {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkIdentify is this package's part of a verification, mostly hashing.
func BenchmarkIdentify(b *testing.B) {
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := apikey.Identify(secret); !ok {
			b.Fatal("malformed")
		}
	}
}

func BenchmarkHash(b *testing.B) {
	secret := apikey.NewSecret("ak", apikey.NewID())
	b.ReportAllocs()
	for b.Loop() {
		secret.Hash()
	}
}

func BenchmarkNewSecret(b *testing.B) {
	id := apikey.NewID()
	b.ReportAllocs()
	for b.Loop() {
		apikey.NewSecret("ak", id)
	}
}

// BenchmarkNewKey is this package's part of a creation.
func BenchmarkNewKey(b *testing.B) {
	now := time.Now()
	draft := apikey.Settings{
		Owner: "customer-42", Name: "ci pipeline", Scopes: apikey.Scopes{"keys:read", "datasets:read"},
		Metadata: apikey.Metadata{"plan": "pro"}, ExpiresAt: now.AddDate(1, 0, 0),
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := (apikey.Policy{}).NewKey(now, draft); err != nil {
			b.Fatal(err)
		}
	}
}
