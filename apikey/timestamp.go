package apikey

import (
	"errors"
	"strings"
	"time"
)

// timestampLayout is how every answer writes an instant: UTC, milliseconds, Z.
const timestampLayout = "2006-01-02T15:04:05.000Z"

// ErrNotTimestamp says that a text is not an RFC 3339 date-time with an offset, or
// names a leap second, or lies outside the years 0000 to 9999 in UTC.
var ErrNotTimestamp = errors.New(
	"must be an RFC 3339 date-time with an offset, such as 2030-01-31T12:00:00Z, of the years 0000 to 9999 in UTC")

// Timestamp is an instant in the contract's form: read from strict RFC 3339,
// truncated to milliseconds, written in UTC with exactly three decimals.
type Timestamp time.Time

// ParseTimestamp reads a Timestamp. It returns ErrNotTimestamp otherwise.
func ParseTimestamp(s string) (Timestamp, error) {
	// time.Parse also takes an hour of one digit and a comma before the fraction.
	const shortest = "2006-01-02T15:04:05Z"
	if len(s) < len(shortest) || s[13] != ':' || strings.Contains(s, ",") || !offsetInRange(s) {
		return Timestamp{}, ErrNotTimestamp
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return Timestamp{}, ErrNotTimestamp
	}
	t = truncate(t)
	if t.Year() < 0 || t.Year() > 9999 {
		return Timestamp{}, ErrNotTimestamp
	}
	return Timestamp(t), nil
}

// offsetInRange refuses offsets such as +24:00, which time.Parse takes.
func offsetInRange(s string) bool {
	if strings.HasSuffix(s, "Z") {
		return true
	}
	hours, minutes := s[len(s)-5:len(s)-3], s[len(s)-2:]
	return hours <= "23" && minutes <= "59"
}

// truncate gives an instant the precision that the store keeps.
func truncate(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// Time returns the instant.
func (t Timestamp) Time() time.Time { return time.Time(t) }

// Equal reports whether both are the same instant.
func (t Timestamp) Equal(u Timestamp) bool { return time.Time(t).Equal(time.Time(u)) }

// String writes the contract's form.
func (t Timestamp) String() string { return time.Time(t).UTC().Format(timestampLayout) }

// Append appends the contract's form.
func (t Timestamp) Append(b []byte) []byte {
	return time.Time(t).UTC().AppendFormat(b, timestampLayout)
}

// MarshalText writes the contract's form, in JSON too.
func (t Timestamp) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what ParseTimestamp reads.
func (t *Timestamp) UnmarshalText(text []byte) (err error) {
	*t, err = ParseTimestamp(string(text))
	return err
}
