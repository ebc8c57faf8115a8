package apikey

import (
	"fmt"
	"unicode/utf8"
)

// secretInURL refuses a query parameter.
const secretInURL = "must not contain a secret, which belongs in no URL"

// CheckSearch returns an *InvalidError if keys cannot be searched for the text. It must have 1 to 255
// characters of UTF-8, no control characters and no secret.
func CheckSearch(text string) error {
	switch n := utf8.RuneCountInString(text); {
	case !utf8.ValidString(text) || hasControl(text):
		return Invalid("search", "must be valid UTF-8 without control characters")
	case n == 0 || n > maxNameLength:
		return Invalid("search", fmt.Sprintf("must be 1 to %d characters", maxNameLength))
	case holdsSecret(text):
		return Invalid("search", fmt.Sprintf("%s; search for the key's prefix: "+
			"everything up to the %dth character after the last _", secretInURL, ShownDigits))
	}
	return nil
}
