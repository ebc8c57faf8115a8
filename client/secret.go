package client

import (
	"fmt"
	"log/slog"
)

// redacted stands wherever somebody tries to print a secret.
const redacted = "[redacted]"

// Secret is what a key proves itself with. It cannot be printed, logged or encoded by
// accident: only Reveal gives it up. The zero Secret is none.
type Secret struct {
	// A pointer, because fmt prints the unexported fields of other people's structs
	// without asking the methods below.
	text *string
}

// Reveal returns the secret itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String redacts.
func (s Secret) String() string { return redacted }

// GoString redacts.
func (s Secret) GoString() string { return redacted }

// Format redacts, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue redacts.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText redacts, in JSON too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
