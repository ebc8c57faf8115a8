package sqlstore

import (
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"

	"github.com/go-json-experiment/json/jsontext"

	"apikeyd/apikey"
	"apikeyd/store"
)

// textOfChanges is how changes are stored: JSON in its canonical form (RFC 8785).
// By hand, since every change pays for it, in the one place where all wait for each other.
func textOfChanges(c *store.Changes) string {
	b := []byte{'{'}
	start := len(b)
	b = appendChange(b, start, "expires_at", c.ExpiresAt, appendTimestamp)
	b = appendChange(b, start, "grace_ends_at", c.GraceEndsAt, appendTimestamp)
	b = appendChange(b, start, "metadata", c.Metadata, appendMetadata)
	b = appendChange(b, start, "name", c.Name, appendText)
	b = appendChange(b, start, "rate_limit", c.RateLimit, appendRateLimit)
	b = appendChange(b, start, "revoked_at", c.RevokedAt, appendTimestamp)
	b = appendChange(b, start, "scopes", c.Scopes, appendScopes)
	return string(append(b, '}'))
}

// appendChange appends a field that changed, with a comma unless it is the first after start.
func appendChange[T any](b []byte, start int, field string, c *store.Change[T], value func([]byte, T) []byte) []byte {
	if c == nil {
		return b
	}
	b = append(appendComma(b, start), '"')
	b = append(append(b, field...), `":{`...)
	inner := len(b)
	if c.From != nil {
		b = value(append(b, `"from":`...), *c.From)
	}
	if c.To != nil {
		b = value(append(appendComma(b, inner), `"to":`...), *c.To)
	}
	return append(b, '}')
}

func appendComma(b []byte, start int) []byte {
	if len(b) == start {
		return b
	}
	return append(b, ',')
}

// appendText appends a string. What is not UTF-8 becomes U+FFFD; names and values are.
func appendText(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

func appendTimestamp(b []byte, t apikey.Timestamp) []byte {
	return append(t.Append(append(b, '"')), '"')
}

func appendScopes(b []byte, scopes apikey.Scopes) []byte {
	b = append(b, '[')
	start := len(b)
	for _, scope := range scopes {
		b = appendText(appendComma(b, start), scope)
	}
	return append(b, ']')
}

func appendRateLimit(b []byte, r apikey.RateLimit) []byte {
	b = strconv.AppendInt(append(b, `{"limit":`...), int64(r.Limit), 10)
	b = strconv.AppendInt(append(b, `,"window_seconds":`...), int64(r.Window/time.Second), 10)
	return append(b, '}')
}

// appendMetadata puts names in the order of their UTF-16, as RFC 8785 does.
func appendMetadata(b []byte, m apikey.Metadata) []byte {
	b = append(b, '{')
	start := len(b)
	for _, name := range slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
	}) {
		b = append(appendText(appendComma(b, start), name), ':')
		b = appendText(b, m[name])
	}
	return append(b, '}')
}
