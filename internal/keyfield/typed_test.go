package keyfield_test

import (
	"testing"
	"time"

	"apikeyd/internal/keyfield"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"30d": 30 * day, "2w": 14 * day, "1y": 365 * day, "1d12h": 36 * time.Hour, "1w2d3h4m": 9*day + 3*time.Hour + 4*time.Minute,
		"1.5d": 36 * time.Hour, ".5d": 12 * time.Hour, "-1d": -day, "0": 0, "0d": 0, "720h": 30 * day, "1ms": time.Millisecond, "0.1d": 144 * time.Minute,
	} {
		if got, err := keyfield.ParseDuration(text); got != want || err != nil {
			t.Errorf("%s: %v and %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "30", "30D", "1 d", "1mo", "1M", "300y", "9e9d", "1d-2h", "30days", "99999999999999999999999999d"} {
		if got, err := keyfield.ParseDuration(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
