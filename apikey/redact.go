package apikey

import "strings"

// leastLeak is the length of the shortest run of letters and digits to redact: a secret's id and half of
// its random digits.
const leastLeak = idWidth + randomWidth/2

// Redact replaces everything in s that may be a secret or most of one: damaged, cut off, mistyped, or
// with a wrong prefix or none.
func Redact(s string) string {
	return replaceRuns(s, redacted, func(_ bool, length int, _ string) bool { return length >= leastLeak })
}

// WithoutSecrets removes every complete secret from s, and nothing else.
func WithoutSecrets(s string) string {
	return replaceRuns(s, "", func(prefixed bool, length int, rest string) bool {
		return prefixed && length == bodyWidth && !strings.HasPrefix(rest, "_")
	})
}

// replaceRuns replaces the runs of letters and digits that match accepts, together with their prefixes.
// Strangers choose the length of s, and a regular expression would take a hundred times as long: half a
// microsecond per byte.
func replaceRuns(s, with string, match func(prefixed bool, length int, rest string) bool) string {
	var out strings.Builder
	done := 0 // end of the part that out has
	for i := 0; i < len(s); {
		end := i
		for end < len(s) && isAlphanumeric(s[end]) {
			end++
		}
		if end-i >= leastLeak {
			start := i - prefixLength(s[done:i])
			if match(start < i, end-i, s[end:]) {
				out.WriteString(s[done:start])
				out.WriteString(with)
				done = end
			}
		}
		i = end + 1
	}
	if done == 0 {
		return s
	}
	out.WriteString(s[done:])
	return out.String()
}

// prefixLength returns the length of the prefix at the end of s, including its underscore, or 0.
func prefixLength(s string) int {
	if !strings.HasSuffix(s, "_") {
		return 0
	}
	length := 0
	for n := 1; n <= maxPrefixLength && n < len(s); n++ {
		switch c := s[len(s)-1-n]; {
		case c >= 'a' && c <= 'z':
			length = n + 1
		case c != '_' && (c < '0' || c > '9'):
			return length
		}
	}
	return length
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
