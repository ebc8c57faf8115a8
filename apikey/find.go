package apikey

import (
	"strings"
)

// FindSecrets returns the well-formed secrets in a text, each once, in their order. It finds them inside words
// too, such as in a URL or in quotes: the checksum tells where a prefix begins.
func FindSecrets(text string) []Secret {
	var found []Secret
	seen := make(map[string]bool)
	for at := 0; ; {
		next := strings.IndexByte(text[at:], '_')
		if next < 0 || at+next+1+bodyWidth > len(text) {
			return found
		}
		split := at + next
		at = split + 1
		end := at + bodyWidth
		if !isBase62(text[at:end]) {
			continue
		}
		// Shorter prefixes first: only the right one has the checksum.
		for start := split - 1; start >= max(split-maxPrefixLength, 0); start-- {
			if secret, err := ParseSecret(text[start:end]); err == nil {
				if !seen[text[start:end]] {
					seen[text[start:end]] = true
					found = append(found, secret)
				}
				break
			}
		}
	}
}
