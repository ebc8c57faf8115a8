package apikey

import (
	"errors"
	"strings"
	"time"
)

// timestampLayout is the format of times in all answers.
const timestampLayout = "2006-01-02T15:04:05.000Z"

// ErrNotTimestamp says that text is not an RFC 3339 date-time with an offset, is a leap second, or is
// outside the years 0000 to 9999 in UTC.
var ErrNotTimestamp = errors.New(
	"must be an RFC 3339 date-time with an offset, such as 2030-01-31T12:00:00Z, of the years 0000 to 9999 in UTC")

// Timestamp is a time in the contract's form: strict RFC 3339 when read, truncated to milliseconds, and
// UTC with exactly three decimals when written.
type Timestamp time.Time

// ParseTimestamp reads a Timestamp. It returns ErrNotTimestamp if it cannot.
func ParseTimestamp(s string) (Timestamp, error) {
	// time.Parse also accepts one-digit hours and a comma before the fraction.
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

// offsetInRange refuses offsets such as +24:00, which time.Parse accepts.
func offsetInRange(s string) bool {
	if strings.HasSuffix(s, "Z") {
		return true
	}
	hours, minutes := s[len(s)-5:len(s)-3], s[len(s)-2:]
	return hours <= "23" && minutes <= "59"
}

// truncate reduces a time to the precision of the store.
func truncate(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// Time returns t as a time.Time.
func (t Timestamp) Time() time.Time { return time.Time(t) }

// Equal reports whether both are the same time.
func (t Timestamp) Equal(u Timestamp) bool { return time.Time(t).Equal(time.Time(u)) }

// String returns the contract's form.
func (t Timestamp) String() string { return string(t.Append(make([]byte, 0, len(timestampLayout)))) }

// Append appends the contract's form.
func (t Timestamp) Append(b []byte) []byte {
	at := time.Time(t).UTC()
	// The time package has a fast path for this layout and none for ours: 88 ns instead of 460.
	b = at.AppendFormat(b, time.RFC3339)
	const digits = "0123456789"
	ms := at.Nanosecond() / int(time.Millisecond)
	return append(b[:len(b)-1], '.', digits[ms/100], digits[ms/10%10], digits[ms%10], 'Z')
}

// MarshalText returns the contract's form, for JSON too.
func (t Timestamp) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is ParseTimestamp.
func (t *Timestamp) UnmarshalText(text []byte) (err error) {
	*t, err = ParseTimestamp(string(text))
	return err
}
