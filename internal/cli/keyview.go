package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

// printKey prints a key for people, one property per line.
func printKey(w io.Writer, k client.Key, now time.Time) error {
	used := "never"
	if !k.LastUsedAt.IsZero() {
		used = when(k.LastUsedAt, now)
	}
	if k.LastUsedFrom != "" {
		used += " from " + k.LastUsedFrom
	}
	return printKeyUsed(w, k, now, used)
}

// printKeyUsed is printKey with a text about the last use.
func printKeyUsed(w io.Writer, k client.Key, now time.Time, used string) error {
	d := newDetails(w, now)
	d.row("id", k.ID)
	for _, text := range keyfield.Texts() {
		d.text(text.Label(), text.Of(k))
	}
	d.row("owner", k.Owner)
	d.row("status", statusOf(k))
	d.row("prefix", k.Prefix)
	d.row("scopes", strings.Join(k.Scopes, " "))
	d.metadata(k.Metadata)
	d.limits(k.RateLimit, k.Quota)
	d.text("allowed networks", strings.Join(k.AllowedCIDRs, " "))
	d.text("observed networks", strings.Join(k.ObserveCIDRs, " "))
	d.at("created", k.CreatedAt)
	d.at("expires", k.ExpiresAt)
	d.at("revoked", k.RevokedAt)
	d.text("reason", string(k.RevocationReason))
	d.at("rotated", k.RotatedAt)
	d.at("old secret ends", k.GraceEndsAt)
	d.row("last used", used)
	d.text("etag", strings.Trim(k.ETag, `"`))
	return d.Flush()
}

// rounded formats a duration without trailing zeros: 1m, not 1m0s.
func rounded(d time.Duration) string {
	text := d.String()
	for _, zeros := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zeros) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// when formats a time exactly and relative to now.
func when(t, now time.Time) string { return exactly(t) + " (" + ago(t, now) + ")" }

// ago formats the distance between a time and now in its largest unit.
func ago(t, now time.Time) string {
	count, unit, past := distance(t, now)
	if count == 0 {
		return "now"
	}
	text := strconv.FormatInt(count, 10) + " " + unit
	if count != 1 {
		text += "s"
	}
	return directed(text, past)
}

// brief is a shorter ago.
func brief(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	count, unit, past := distance(t, now)
	if count == 0 {
		return "now"
	}
	return directed(strconv.FormatInt(count, 10)+unit[:1], past)
}

func directed(text string, past bool) string {
	if past {
		return text + " ago"
	}
	return "in " + text
}

// distance returns how far a time is from now, in its largest unit.
func distance(t, now time.Time) (count int64, unit string, past bool) {
	seconds := t.Unix() - now.Unix() // a Duration cannot hold a thousand years
	far := max(seconds, -seconds)
	if far >= 60 {
		far += 30 // a key created a moment ago for 30 days ends in 30 days, not in 29
	}
	count, unit = far, "second"
	for _, u := range []struct {
		name    string
		seconds int64
	}{{"minute", 60}, {"hour", 60 * 60}, {"day", 24 * 60 * 60}, {"year", 365 * 24 * 60 * 60}} {
		if far >= u.seconds {
			count, unit = far/u.seconds, u.name
		}
	}
	return count, unit, seconds < 0
}

// printable makes foreign text safe for a terminal: it escapes, as Go does, characters that do not
// print or that change the direction of text.
func printable(text string) string {
	var b strings.Builder
	for i, r := range text {
		if strconv.IsPrint(r) && (r != utf8.RuneError || strings.HasPrefix(text[i:], "\uFFFD")) {
			b.WriteRune(r)
			continue
		}
		if r == utf8.RuneError {
			fmt.Fprintf(&b, `\x%02x`, text[i])
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// printJSON prints one line like the API's answer, with names in the same order. It escapes what
// printable escapes, which does not change the JSON's meaning.
func printJSON(w io.Writer, shape any) error {
	text, err := keyfield.JSON(shape)
	if err != nil {
		return err
	}
	line := jsontext.Value(text)
	if err := line.Canonicalize(); err != nil {
		return err
	}
	var escaped []byte
	for _, r := range string(line) {
		if strconv.IsPrint(r) {
			escaped = utf8.AppendRune(escaped, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			escaped = fmt.Appendf(escaped, `\u%04x`, unit)
		}
	}
	_, err = w.Write(append(escaped, '\n'))
	return err
}
