package apikey_test

import (
	"errors"
	"strings"
	"testing"

	"apikeyd/apikey"
)

func TestSearches(t *testing.T) {
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	for name, tt := range map[string]struct {
		text    string
		allowed bool
	}{
		"plain":                  {"ci", true},
		"one character":          {"x", true},
		"a space":                {" ", true},
		"a dot":                  {".", true},
		"an id":                  {someUUID, true},
		"255 emoji":              {strings.Repeat("🙂", 255), true},
		"the prefix of a secret": {secret[:len("ak_")+apikey.ShownDigits], true},
		"a secret cut short":     {secret[:len(secret)-1], true}, // it may be a name
		"empty":                  {"", false},
		"256 characters":         {strings.Repeat("я", 256), false},
		"line break":             {"a\nb", false},
		"NUL":                    {"a\x00b", false},
		"invalid UTF-8":          {"a\xff", false},
		"a secret":               {secret, false},
		"a secret inside":        {"key: " + secret + ".", false},
	} {
		err := apikey.CheckSearch(tt.text)
		if (err == nil) != tt.allowed {
			t.Errorf("%s: %v, want allowed: %t", name, err, tt.allowed)
		}
		if invalid, ok := errors.AsType[*apikey.InvalidError](err); err != nil && (!ok || invalid.Fields[0].Field != "search" ||
			strings.Contains(err.Error(), secret[10:])) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
