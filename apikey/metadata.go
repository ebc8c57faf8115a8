package apikey

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	metadataField     = "metadata"
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
	if len(m) > maxMetadata {
		return Invalid(metadataField, fmt.Sprintf("must be at most %d entries", maxMetadata))
	}
	for name, value := range m {
		if err := checkMetadataEntry(name, value); err != nil {
			return err
		}
		if holdsSecret(value) { // a name is too short for one
			return Invalid(metadataField, "must not hold the secret of a key")
		}
	}
	return nil
}

func checkMetadataEntry(name, value string) error {
	switch n := utf8.RuneCountInString(name); {
	case !utf8.ValidString(name) || !utf8.ValidString(value):
		return Invalid(metadataField, "must be valid UTF-8")
	case n == 0 || n > maxMetadataName || hasControl(name):
		return Invalid(metadataField, fmt.Sprintf(
			"must have names of 1 to %d characters, without control characters", maxMetadataName))
	case utf8.RuneCountInString(value) > maxMetadataLength:
		return Invalid(metadataField, fmt.Sprintf("must have values of at most %d characters", maxMetadataLength))
	}
	return nil
}

// A MetadataEntry is one name and value of Metadata.
type MetadataEntry struct{ Name, Value string }

// ParseMetadataFilter parses entries of the form NAME=VALUE by which a list is filtered. A name ends at the first
// "=". It returns an *InvalidError if no key can have such an entry.
func ParseMetadataFilter(texts []string) ([]MetadataEntry, error) {
	var entries []MetadataEntry
	for _, text := range texts {
		name, value, found := strings.Cut(text, "=")
		if !found {
			return nil, Invalid(metadataField, "must be NAME=VALUE")
		}
		if err := checkMetadataEntry(name, value); err != nil {
			return nil, err
		}
		if holdsSecret(value) {
			return nil, Invalid(metadataField, secretInURL)
		}
		entries = append(entries, MetadataEntry{name, value})
	}
	return entries, nil
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
