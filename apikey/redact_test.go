package apikey_test

import (
	"regexp"
	"strings"
	"testing"

	"apikeyd/apikey"
)

var (
	likeSecret = regexp.MustCompile(`(?:[a-z][a-z0-9_]{0,19}_)?[0-9A-Za-z]{38,}`)
	secretText = regexp.MustCompile(`[a-z][a-z0-9_]{0,19}_[0-9A-Za-z]{60}\b`)
)

// FuzzRedact compares the search for secrets with equivalent regular expressions.
func FuzzRedact(f *testing.F) {
	for _, prefix := range []string{"", "_", "ak_", "a_b_", "_a_", "Aak_", "9ak_", "é_", strings.Repeat("p", 21) + "_", "__ak__"} {
		for _, length := range []int{37, 38, 59, 60, 61} {
			run := strings.Repeat("x", length)
			for _, end := range []string{"", " ", "_", "_" + run, "ö", " ak_" + run} {
				f.Add("before" + prefix + run + end)
				f.Add(prefix + run + end)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := apikey.Redact(text), likeSecret.ReplaceAllLiteralString(text, "[redacted]"); got != want {
			t.Errorf("Redact(%q) = %q, want %q", text, got, want)
		}
		if got, want := apikey.WithoutSecrets(text), secretText.ReplaceAllLiteralString(text, ""); got != want {
			t.Errorf("WithoutSecrets(%q) = %q, want %q", text, got, want)
		}
	})
}
