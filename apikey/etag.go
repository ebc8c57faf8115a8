package apikey

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"
)

// ETag identifies the state of the key as far as somebody changes it: not its last use, and not its owner.
func (k *Key) ETag() string {
	state := *k
	state.LastUsedAt, state.LastUsedFrom = time.Time{}, ""
	sum := sha256.Sum256(state.AppendPacked(nil))
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
}

// Match are the ETags of which a key must have one to be changed. The zero Match lets every change pass. It is
// comparable.
type Match struct{ list string } // joined by commas; "*" is any

var errMatch = errors.New("must be * or the ETags of earlier answers, in quotes and separated by commas")

// ParseMatch reads the header If-Match (RFC 9110, section 13.1.1). A weak ETag matches nothing.
func ParseMatch(header string) (Match, error) {
	rest := strings.Trim(header, " \t")
	if rest == "*" {
		return Match{rest}, nil
	}
	strong := []string{"none"} // no ETag, so that a list of weak ones is a condition too
	for {
		rest = strings.TrimLeft(rest, " \t,")
		if rest == "" {
			break
		}
		tag, isWeak := strings.CutPrefix(rest, "W/")
		if tag[:min(1, len(tag))] != `"` {
			return Match{}, errMatch
		}
		end := strings.IndexByte(tag[1:], '"') + 2
		if end < 2 {
			return Match{}, errMatch
		}
		if next := strings.TrimLeft(tag[end:], " \t"); next != "" && next[0] != ',' {
			return Match{}, errMatch
		}
		if !isWeak && !strings.Contains(tag[:end], ",") { // ours have none
			strong = append(strong, tag[:end])
		}
		rest = tag[end:]
	}
	if strings.Trim(header, " \t,") == "" {
		return Match{}, errMatch
	}
	return Match{strings.Join(strong, ",")}, nil
}

// Allows reports whether a key has one of the ETags.
func (m Match) Allows(k *Key) bool {
	return m.list == "" || m.list == "*" || slices.Contains(strings.Split(m.list, ","), k.ETag())
}
