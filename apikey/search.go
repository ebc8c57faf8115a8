package apikey

import (
	"fmt"
	"unicode/utf8"
)

// CheckSearch says what is wrong with a text to search keys for: 1 to 255 characters of UTF-8,
// no control characters, no secret. Anything else may stand in a name.
func CheckSearch(text string) error {
	switch n := utf8.RuneCountInString(text); {
	case !utf8.ValidString(text) || hasControl(text):
		return Invalid("search", "must be valid UTF-8, without control characters: no name is otherwise")
	case n == 0 || n > maxNameLength:
		return Invalid("search", fmt.Sprintf("must be 1 to %d characters", maxNameLength))
	case holdsSecret(text):
		return Invalid("search", fmt.Sprintf("must not hold the secret of a key, which belongs in no address; "+
			"its prefix finds the key: the part up to the %dth character after the last _", ShownDigits))
	}
	return nil
}
