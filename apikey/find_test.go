package apikey_test

import (
	"slices"
	"strings"
	"testing"

	"apikeyd/apikey"
)

func TestFindSecrets(t *testing.T) {
	t.Parallel()
	a := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	b := apikey.NewSecret("acme_live", apikey.NewID()).Reveal()
	long := apikey.NewSecret(strings.Repeat("p", 20), apikey.NewID()).Reveal()
	short := apikey.NewSecret("k", apikey.NewID()).Reveal()
	wrong := a[:len(a)-1] + map[bool]string{true: "1", false: "0"}[a[len(a)-1] == '0']
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"none":                       {"key_ and _ and ak_", nil},
		"alone":                      {a, []string{a}},
		"several, one of them twice": {"A=" + b + "\nB='" + a + "' C=" + b + ";" + short, []string{b, a, short}},
		"in a URL":                   {"https://x/?key=" + a + "&b=" + long, []string{a, long}},
		"after a name":               {"my_key_" + a + ",KEY_" + b, []string{a, b}},
		"glued together":             {a + b + "xyz" + long + "9", []string{a, b, long}},
		"in quotes of JSON":          {`{"token":"` + a + `"}`, []string{a}},
		"beside other scripts":       {"ключ" + a + "é\x00\xff" + short, []string{a, short}},
		"a wrong checksum":           {wrong, nil},
		"cut off":                    {a[:len(a)-1] + " " + a[1:] + " " + a, []string{a}},
		"another prefix":             {"b" + a[1:], nil},
		"only underscores":           {strings.Repeat("_", 300), nil},
	} {
		var got []string
		for _, secret := range apikey.FindSecrets(tt.text) {
			got = append(got, secret.Reveal())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: found %q, want %q", name, got, tt.want)
		}
	}
}

// FuzzFindSecrets compares the search with trying every part of a text.
func FuzzFindSecrets(f *testing.F) {
	a := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	b := apikey.NewSecret("a_b9", apikey.NewID()).Reveal()
	for _, text := range []string{"", a, a + b, b + "_" + a, "_" + a + "x" + b, strings.Repeat("a_", 50) + a, a[:30] + b} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 400 {
			return
		}
		var want []string
		for end := range len(text) + 1 {
			for start := range end {
				part := text[start:end]
				if _, err := apikey.ParseSecret(part); err == nil && !slices.Contains(want, part) {
					want = append(want, part)
				}
			}
		}
		var got []string
		for _, secret := range apikey.FindSecrets(text) {
			got = append(got, secret.Reveal())
		}
		if !slices.Equal(got, want) {
			t.Errorf("found %q in %q, want %q", got, text, want)
		}
	})
}
