package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAgo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		at   time.Time
		want string
	}{
		{now, "now"},
		{now.Add(time.Second), "in 1 second"},
		{now.Add(-59 * time.Second), "59 seconds ago"},
		{now.Add(-90 * time.Second), "2 minutes ago"},
		{now.Add(time.Hour - time.Second), "in 1 hour"},
		{now.Add(-36 * time.Hour), "1 day ago"},
		{now.Add(720*time.Hour - time.Second), "in 30 days"},
		{now.AddDate(-3, 0, -5), "3 years ago"},
		{time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), "in 7978 years"},
	} {
		if got := ago(test.at, now); got != test.want {
			t.Errorf("%s: %q, want %q", test.at, got, test.want)
		}
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ci pipeline, мой ключ, 鍵 🔑": "ci pipeline, мой ключ, 鍵 🔑",
		"\x1b]0;owned\a":             `\x1b]0;owned\a`,
		"two\nlines\tand a tab\r":    `two\nlines\tand a tab\r`,
		"abc\u202egnp.exe":           `abc\u202egnp.exe`, // reverses the text after it
		"zero\u200bwidth":            `zero\u200bwidth`,
		"\u009b31m":                  `\u009b31m`, // an escape in one character
		"\xff\xfe":                   `\xff\xfe`,
		"\uFFFD":                     "\uFFFD",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestPrintJSON(t *testing.T) {
	t.Parallel()
	texts := []string{"мой <&> 鍵 🔑", "\x1b[2J\u009b2J\n\t", "abc\u202egnp.exe", "\U000e0041\U0010ffff", "\uFFFD"}
	var line strings.Builder
	must(t, printJSON(&line, texts))
	want := `["мой <&> 鍵 🔑","\u001b[2J\u009b2J\n\t","abc\u202egnp.exe","\udb40\udc41\udbff\udfff","` + "\uFFFD\"]\n"
	if line.String() != want {
		t.Errorf("%q, want %q", line.String(), want)
	}
	var back []string
	must(t, json.Unmarshal([]byte(line.String()), &back))
	if !slices.Equal(back, texts) {
		t.Errorf("%q means %q", line.String(), back)
	}
}

func TestRounded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1s": "1s", "60s": "1m", "90s": "1m30s", "60m": "1h", "90m": "1h30m", "24h": "24h", "1h0m1s": "1h0m1s", "10m": "10m",
	} {
		d, err := time.ParseDuration(text)
		must(t, err)
		if got := rounded(d); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
