package apikey

import (
	"strings"
	"unicode"
)

// TrimSecret removes white space, byte order marks and zero-width spaces at both ends, which come along
// when a secret is copied or read from a file.
func TrimSecret(text string) string {
	return strings.TrimFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || r == '\uFEFF' || r == '\u200B'
	})
}

// WhyMalformed describes text that ParseSecret refuses, for the person who typed it. The result completes
// a sentence such as "the file holds …" and never quotes the text. It is empty for a well-formed secret.
func WhyMalformed(text string) string {
	const maxSearched = 1024 // the search tries every possible start of a secret
	if _, ok := parseSecret(text); ok {
		return ""
	}
	split := strings.LastIndexByte(text, '_')
	body := text[split+1:]
	switch {
	case len(text) <= maxSearched && holdsSecret(text):
		return "a key with other text around it"
	case len(body) == bodyWidth && split < 0 && isBase62(body):
		return "a key that is cut off: it has no prefix"
	case len(body) == bodyWidth && split > 0:
		return "a key that is mistyped: its checksum is wrong"
	case split < 1 || !isPrefix(text[:split]) || len(body) < ShownDigits || !isBase62(body):
		return "no apikeyd key"
	case len(body) == ShownDigits:
		return "a key's prefix, as lists show it, not its secret"
	case len(body) < bodyWidth:
		return "a key that is cut off"
	}
	return "a key that is mistyped: it is too long"
}
