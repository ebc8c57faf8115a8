package apikey

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

const maxNameLength = 255

// CheckName says what is wrong with the name of a key: 1 to 255 characters of
// UTF-8, no control characters, no white space at either end, not "." or "..", not
// in UUID form, no secret.
func CheckName(name string) error {
	if err := checkText("name", name); err != nil {
		return err
	}
	if _, err := ParseID(name); err == nil {
		return invalid("name", "must not have the form of a UUID, which always means an id")
	}
	return nil
}

// CheckOwner says what is wrong with an owner: the rules of a name, but the UUID
// form is allowed.
func CheckOwner(owner string) error { return checkText("owner", owner) }

func checkText(field, s string) error {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s):
		return invalid(field, "must be valid UTF-8")
	case n == 0 || n > maxNameLength:
		return invalid(field, fmt.Sprintf("must be 1 to %d characters", maxNameLength))
	case s == "." || s == "..":
		return invalid(field, `must not be "." or ".."`)
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return invalid(field, "must not contain control characters such as line breaks")
		}
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return invalid(field, "must not begin or end with white space")
	}
	if looksSecret(s) {
		return invalid(field, "must not be the secret of a key")
	}
	return nil
}

func looksSecret(s string) bool {
	_, err := ParseSecret(s)
	return err == nil
}
