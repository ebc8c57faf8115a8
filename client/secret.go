package client

import (
	"fmt"
	"log/slog"
)

// redacted is printed in place of a secret.
const redacted = "[redacted]"

// Secret is the secret of a key. It cannot be printed, logged or encoded by accident: only Reveal
// returns it. The zero Secret is empty.
type Secret struct {
	// A pointer, because fmt prints unexported fields of a struct without calling the methods
	// below.
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
