package apikey

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"

	"github.com/go-json-experiment/json/jsontext"
)

// field is a field of a key in the contract's JSON.
type field struct {
	name     string
	recorded bool                                         // the audit log records its changes
	json     func(b []byte, k *Key, now time.Time) []byte // appends the value, or nothing if it is absent
}

// fields holds all fields of a key in alphabetical order, as the canonical form requires.
var fields = allFields()

func allFields() []field {
	all := []field{
		{"created_at", false, func(b []byte, k *Key, _ time.Time) []byte { return appendTime(b, k.CreatedAt) }},
		{"foreign_secret", false, func(b []byte, k *Key, now time.Time) []byte { return appendIf(b, k.HasForeign(now)) }},
		{"grace_ends_at", true, func(b []byte, k *Key, now time.Time) []byte { return appendTime(b, k.GraceEnd(now)) }},
		{"id", false, func(b []byte, k *Key, _ time.Time) []byte { return appendID(b, k.ID) }},
		{"last_used_at", false, func(b []byte, k *Key, _ time.Time) []byte { return appendTime(b, k.LastUsedAt) }},
		{"last_used_from", false, func(b []byte, k *Key, _ time.Time) []byte {
			if k.LastUsedFrom == "" {
				return b
			}
			return appendText(b, k.LastUsedFrom)
		}},
		{"prefix", false, func(b []byte, k *Key, _ time.Time) []byte { return appendText(b, k.Prefix) }},
		{"revocation_reason", true, appendReason},
		{"revoked_at", true, func(b []byte, k *Key, _ time.Time) []byte { return appendTime(b, k.RevokedAt) }},
		{"rotated_at", false, func(b []byte, k *Key, _ time.Time) []byte { return appendTime(b, k.RotatedAt) }},
		{"session", false, func(b []byte, k *Key, _ time.Time) []byte {
			if k.Session == "" {
				return b
			}
			return appendText(b, string(k.Session))
		}},
		{"status", false, func(b []byte, k *Key, now time.Time) []byte { return appendText(b, string(k.Status(now))) }},
	}
	for _, s := range settings {
		all = append(all, field{s.name, s.take != nil, func(b []byte, k *Key, _ time.Time) []byte {
			return s.json(b, &k.Settings)
		}})
	}
	slices.SortFunc(all, func(a, b field) int { return cmp.Compare(a.name, b.name) })
	return all
}

// AppendJSON appends the key's JSON of the contract at now, in the canonical form of RFC 8785.
func (k *Key) AppendJSON(b []byte, now time.Time) []byte {
	b = append(b, '{')
	for _, f := range fields {
		start := len(b)
		b = appendMember(b, f.name)
		value := len(b)
		if b = f.json(b, k, now); len(b) == value {
			b = b[:start]
		}
	}
	return append(b, '}')
}

// NextChange returns when AppendJSON's result next changes by time alone, or the zero time if it does not.
func (k *Key) NextChange(now time.Time) (next time.Time) {
	for _, at := range [...]time.Time{k.ExpiresAt, k.OldSecretUntil} {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// appendComma appends a comma unless it follows the start of an object or array.
func appendComma(b []byte) []byte {
	if last := b[len(b)-1]; last == '{' || last == '[' {
		return b
	}
	return append(b, ',')
}

// appendMember appends the name of an object's member, after a comma unless it comes first.
func appendMember(b []byte, name string) []byte {
	return append(append(append(appendComma(b), '"'), name...), `":`...)
}

// appendText appends a string. Invalid UTF-8 becomes U+FFFD; names and values are valid.
func appendText(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

func appendID(b []byte, id ID) []byte {
	b, _ = id.AppendText(append(b, '"')) // it never fails
	return append(b, '"')
}

// appendTime appends a time; the zero time is absent.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return append(Timestamp(t).Append(append(b, '"')), '"')
}

// appendReason appends why a key was revoked. Older versions did not record it.
func appendReason(b []byte, k *Key, _ time.Time) []byte {
	if !k.IsRevoked() {
		return b
	}
	return appendText(b, string(cmp.Or(k.RevocationReason, ReasonUnspecified)))
}

// appendIf appends true, or nothing.
func appendIf(b []byte, value bool) []byte {
	if !value {
		return b
	}
	return append(b, "true"...)
}

func appendNot(b []byte, value bool) []byte { return strconv.AppendBool(b, !value) }

func appendScopes(b []byte, scopes Scopes) []byte {
	b = append(b, '[')
	for _, scope := range scopes {
		b = appendText(appendComma(b), scope)
	}
	return append(b, ']')
}

// appendRateLimit appends a rate limit; the zero limit is absent.
func appendRateLimit(b []byte, r RateLimit) []byte {
	if r.IsNone() {
		return b
	}
	b = strconv.AppendInt(append(b, `{"limit":`...), int64(r.Limit), 10)
	b = strconv.AppendInt(append(b, `,"window_seconds":`...), int64(r.Window/time.Second), 10)
	return append(b, '}')
}

// appendMetadata appends metadata sorted by the names' UTF-16 code units, as RFC 8785 requires.
func appendMetadata(b []byte, m Metadata) []byte {
	if len(m) == 0 {
		return append(b, "{}"...)
	}
	var few [8]string // as many as most keys have, without an allocation
	names := slices.AppendSeq(few[:0], maps.Keys(m))
	slices.SortFunc(names, func(a, b string) int {
		return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
	})
	b = append(b, '{')
	for _, name := range names {
		b = append(appendText(appendComma(b), name), ':')
		b = appendText(b, m[name])
	}
	return append(b, '}')
}
