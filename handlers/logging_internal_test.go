package handlers

import (
	"strings"
	"testing"

	"apikeyd/apikey"
)

func TestLoggable(t *testing.T) {
	t.Parallel()
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	encoded := secret
	for range 3 {
		var b strings.Builder
		for i := range len(encoded) {
			b.WriteString("%" + strings.ToLower(hexOf(encoded[i])))
		}
		encoded = b.String()
		if got := loggable("/%zz/" + encoded); strings.Contains(decodeAll(got), secret) || !strings.Contains(got, "[redacted]") {
			t.Errorf("%.80s is logged as %.300s", encoded, got)
		}
	}
	for text, want := range map[string]string{
		"/v1/api-keys":                 "/v1/api-keys",
		"/v1/api-keys/a%2Fb":           "/v1/api-keys/a%2Fb",
		"/%":                           "/%",
		"/%2":                          "/%2",
		"/%zz":                         "/%zz",
		"/" + strings.Repeat("é", 300): "/" + strings.Repeat("é", 127) + "\xc3…",
		// Decoding this level by level would take a pass for every two characters.
		"/%" + strings.Repeat("25", 15_000): "[redacted]",
	} {
		if got := loggable(text); got != want {
			t.Errorf("%.40q is logged as %.300q, want %q", text, got, want)
		}
	}
}

func hexOf(c byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{digits[c>>4], digits[c&15]})
}

func decodeAll(s string) string {
	for next := decodePercent(s); next != s; next = decodePercent(s) {
		s = next
	}
	return s
}
