package apikey

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

const maxNameLength = 255

// CheckName returns an *InvalidError if a key cannot have this name. It must have 1 to 255 characters of
// UTF-8, no control characters, no white space at either end and no secret, and not be ".", ".." or in
// UUID form.
func CheckName(name string) error {
	if err := checkText("name", name); err != nil {
		return err
	}
	if _, err := ParseID(name); err == nil {
		return Invalid("name", "must not have the form of a UUID, which always means an id")
	}
	return nil
}

// CheckOwner returns an *InvalidError if a key cannot have this owner. The rules are those of names, but
// the UUID form is allowed.
func CheckOwner(owner string) error { return checkText("owner", owner) }

func checkText(field, s string) error {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s):
		return Invalid(field, "must be valid UTF-8")
	case n == 0 || n > maxNameLength:
		return Invalid(field, fmt.Sprintf("must be 1 to %d characters", maxNameLength))
	case s == "." || s == "..":
		return Invalid(field, `must not be "." or ".."`)
	}
	if hasControl(s) {
		return Invalid(field, "must not contain control characters such as line breaks")
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return Invalid(field, "must not begin or end with white space")
	}
	if holdsSecret(s) {
		return Invalid(field, "must not hold the secret of a key")
	}
	return nil
}

// holdsSecret reports whether s contains a well-formed secret.
func holdsSecret(s string) bool {
	for i := 1; i+bodyWidth < len(s); i++ {
		if s[i] != '_' {
			continue
		}
		// The checksum covers the prefix, so only the right prefix length passes.
		for start := max(0, i-maxPrefixLength); start < i; start++ {
			if _, err := ParseSecret(s[start : i+1+bodyWidth]); err == nil {
				return true
			}
		}
	}
	return false
}
