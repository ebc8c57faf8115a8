package sqlstore

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"apikeyd/apikey"
)

// Both engines must agree on which letters differ only in case. lower() changes only A to Z, in SQLite and in
// PostgreSQL's collation "C". Of other letters, only those in the searched text matter: translate() gives them
// one case.

// holds returns the condition that a column contains a text, byte for byte. LIKE would treat % and
// _ as wildcards.
func (c *conditions) holds(column, text string) string {
	return `replace(` + column + `, ` + c.arg(text) + `, '') <> ` + column
}

// addEntry adds the condition that a key has an entry of metadata: as its first one, or after a comma.
func (c *conditions) addEntry(entry apikey.MetadataEntry) {
	text := metadataEntry(entry.Name, entry.Value)
	first := `substr(metadata, 2, ` + c.arg(utf8.RuneCountInString(text)) + `) = ` + c.arg(text)
	c.add(`(` + first + ` OR ` + c.holds(`metadata`, ","+text) + `)`)
}

// addSearch adds the condition that a key's name or owner contains a text, ignoring case, or that
// its prefix or id matches it.
func (c *conditions) addSearch(text string) {
	ways := []string{c.holdsInAnyCase("name || '\n' || owner", text)} // no name, owner or searched text contains a line break
	if prefix := c.prefixHolds(text); prefix != "" {
		ways = append(ways, prefix)
	}
	if id, err := apikey.ParseID(text); err == nil {
		ways = append(ways, `id = `+c.arg(id[:]))
	}
	c.add(`(` + strings.Join(ways, ` OR `) + `)`)
}

// holdsInAnyCase returns the condition that an expression contains a text, ignoring case.
func (c *conditions) holdsInAnyCase(expression, text string) string {
	folded := `lower(` + expression + `)`
	if from, to := caseVariants(text); from != "" {
		folded = `translate(` + folded + `, ` + c.arg(from) + `, ` + c.arg(to) + `)`
	}
	// Both sides are in one case, so it does not matter that LIKE ignores case in SQLite alone.
	pattern := strings.NewReplacer(`!`, `!!`, `%`, `!%`, `_`, `!_`).Replace(strings.Map(foldCase, text))
	return folded + ` LIKE ` + c.arg(`%`+pattern+`%`) + ` ESCAPE '!'`
}

// minDigits is how many digits of a prefix find a key without the text before them.
const minDigits = 3

// prefixHolds returns the condition that a prefix contains a text; it is empty if the text is too short. Keys
// differ only in the digits after the last "_", so the text must contain some of them: "ak" would find every key.
func (c *conditions) prefixHolds(text string) string {
	word := strings.LastIndexByte(text, '_') + 1
	digits := len(text) - word
	switch {
	case strings.ContainsFunc(text[word:], isNoDigit):
		return ""
	case word > 0 && digits > 0:
		return `substr(prefix, length(prefix) - ` + c.arg(apikey.ShownDigits-1+word) + `, ` + c.arg(len(text)) + `) = ` + c.arg(text)
	case word == 0 && digits >= minDigits && digits <= apikey.ShownDigits:
		return c.holds(`substr(prefix, length(prefix) - `+c.arg(apikey.ShownDigits-1)+`)`, text)
	}
	return ""
}

// isNoDigit reports whether r is none of the base62 digits of a prefix.
func isNoDigit(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// foldCase returns the same letter for all letters that differ only in case. A to Z never fold with other letters,
// as in lower(): the Kelvin sign is not a k.
func foldCase(r rune) rune {
	if r < utf8.RuneSelf {
		return unicode.ToLower(r)
	}
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		if other >= utf8.RuneSelf {
			least = min(least, other)
		}
	}
	return least
}

// caseVariants returns the letters that translate must replace to fold the case of a text's
// letters, other than A to Z, and their replacements.
func caseVariants(text string) (from, to string) {
	for _, r := range text {
		folded := foldCase(r)
		for other := unicode.SimpleFold(folded); other != folded; other = unicode.SimpleFold(other) {
			if folded >= utf8.RuneSelf && other >= utf8.RuneSelf && !strings.ContainsRune(from, other) {
				from, to = from+string(other), to+string(folded)
			}
		}
	}
	return from, to
}
