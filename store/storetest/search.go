package storetest

import (
	"slices"
	"strings"
	"unicode"

	"apikeyd/apikey"
	"apikeyd/store"
)

// sameLetter keeps A to Z apart from all other letters, unlike strings.EqualFold, for which k and
// the Kelvin sign are the same.
func sameLetter(a, b rune) bool {
	if a < unicode.MaxASCII || b < unicode.MaxASCII {
		return a == b || a < unicode.MaxASCII && b < unicode.MaxASCII && unicode.ToLower(a) == unicode.ToLower(b)
	}
	return strings.EqualFold(string(a), string(b))
}

func holdsLetters(text, part string) bool {
	letters, wanted := []rune(text), []rune(part)
	for i := range len(letters) - len(wanted) + 1 {
		if slices.EqualFunc(letters[i:i+len(wanted)], wanted, sameLetter) {
			return true
		}
	}
	return false
}

func testSearchCase(f *fixture) {
	names := []string{
		"10%", "10", "a_b", "a.b", "A!B", "CI deploy", "ci build", "Ärger", "ärger", "ÄRGER", "A\u0308rger", "Ключ", "КЛЮЧ",
		"ΣΊΣΥΦΟΣ", "Σίσυφος", "İstanbul", "istanbul", "ISTANBUL", "ıstanbul", "straße", "STRASSE", "STRAẞE", "\u212Aelvin",
		"kelvin", "KELVIN", "ſo", "SO", "Ⱥ", "ⱥ", "ǅ", "Ǆ", "ǆ", "🔑", `a\b`, "it's", "$1", "%", "_", strings.Repeat("Ñ", 255),
	}
	for _, name := range names {
		f.create("0", name)
	}
	slices.Reverse(names) // newest first
	for _, text := range append([]string{"B", "r", "ÑÑñ", "stra", "люч", "ЛЮЧ", "ίσ", "%%", "!", "!%", "A_", "nobody"}, names...) {
		for _, text := range []string{text, strings.ToUpper(text), strings.ToLower(text)} {
			var want []string
			for _, name := range names {
				if holdsLetters(name, text) {
					want = append(want, name)
				}
			}
			f.wantList(store.Query{Search: text, Limit: 100}, want)
		}
	}
}

func testSearchPlaces(f *fixture) {
	add := func(owner, name, prefix string, active bool) apikey.Key {
		key, _, err := apikey.Policy{Prefix: prefix}.NewKey(f.clock.Now(),
			apikey.Settings{Owner: owner, Name: name, ExpiresAt: f.clock.Now().Add(1e9)})
		f.must(err)
		f.must(f.CreateKey(f.ctx(), operator, key))
		if !active {
			f.revoke(store.ByID(key.ID))
		}
		return key
	}
	first := add("Acme", "first", "ak", true)
	second := add("beta", "Acme's", "live_ak_2", true)
	add("beta", "third", "ak", false)
	digits := second.Prefix[len("live_ak_2_"):]
	const all = "third, Acme's, first"
	for text, want := range map[string]string{
		"acme": "Acme's, first", "ACME": "Acme's, first", "BE": "third, Acme's", "acme\tfirst": "", "acmefirst": "", "'": "Acme's",
		first.Prefix: "first", first.Prefix[:6]: "first", second.Prefix: "Acme's", second.Prefix[:len(second.Prefix)-1]: "Acme's",
		"ak_2_" + digits: "Acme's", digits: "Acme's", digits[2:6]: "Acme's", digits[5:]: "Acme's", "x" + digits: "", digits + "x": "",
		// All prefixes start like this.
		"ak": "", "ak_": "", "k_": "", "live_ak_2": "", "live_ak_2_": "", "live": "", "_": "", "live_ak": "",
		first.ID.String(): "first", strings.ToUpper(second.ID.String()): "Acme's", apikey.NewID().String(): "",
	} {
		var names []string
		if want != "" {
			names = strings.Split(want, ", ")
		}
		f.wantList(store.Query{Search: text, Limit: 2}, names)
	}
	f.wantList(store.Query{Owner: "beta", Search: "ACME", Limit: 2}, []string{"Acme's"})
	f.wantList(store.Query{Search: "b", NameContains: "h", Limit: 2}, []string{"third"})
	f.wantList(store.Query{Search: "E", Status: apikey.StatusActive, At: f.clock.Now(), Limit: 1}, strings.Split("Acme's, first", ", "))
	f.wantList(store.Query{Search: "E", Limit: 1}, strings.Split(all, ", "))
}
