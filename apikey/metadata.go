package apikey

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

const (
	maxMetadata       = 20
	maxMetadataName   = 40
	maxMetadataLength = 500
)

// Metadata is an integrator's own data about a key. apikeyd never interprets it.
type Metadata map[string]string

// CheckMetadata returns an *InvalidError if a key cannot have this metadata. It must have at most 20
// entries, with names of 1 to 40 characters without control characters and values of at most 500
// characters without a secret.
func CheckMetadata(m Metadata) error {
	const field = "metadata"
	if len(m) > maxMetadata {
		return Invalid(field, fmt.Sprintf("must be at most %d entries", maxMetadata))
	}
	for name, value := range m {
		switch n := utf8.RuneCountInString(name); {
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			return Invalid(field, "must be valid UTF-8")
		case n == 0 || n > maxMetadataName || hasControl(name):
			return Invalid(field, fmt.Sprintf(
				"must have names of 1 to %d characters, without control characters", maxMetadataName))
		case utf8.RuneCountInString(value) > maxMetadataLength:
			return Invalid(field, fmt.Sprintf("must have values of at most %d characters", maxMetadataLength))
		case holdsSecret(value): // a name is too short for one
			return Invalid(field, "must not hold the secret of a key")
		}
	}
	return nil
}

// orEmpty returns m, or an empty map if m is nil.
func (m Metadata) orEmpty() Metadata {
	if m == nil {
		return Metadata{}
	}
	return m
}

func hasControl(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) {
			return true
		}
	}
	return false
}
