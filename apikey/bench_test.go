package apikey_test

import (
	"crypto/sha256"
	"testing"

	"apikeyd/apikey"
)

func BenchmarkSHA256OfSecret(b *testing.B) {
	secret := []byte(apikey.NewSecret("ak", apikey.NewID()).Reveal())
	b.ReportAllocs()
	for b.Loop() {
		sha256.Sum256(secret)
	}
}

func BenchmarkIdentify(b *testing.B) {
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := apikey.Identify(secret); !ok {
			b.Fatal("malformed")
		}
	}
}

func BenchmarkParseSecret(b *testing.B) {
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := apikey.ParseSecret(secret); err != nil {
			b.Fatal(err)
		}
	}
}
