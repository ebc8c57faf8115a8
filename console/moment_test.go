package console

import (
	"testing"
	"time"
)

func TestRelative(t *testing.T) {
	t.Parallel()
	for want, away := range map[string]time.Duration{
		"just now":       -9 * time.Second,
		"59 seconds ago": -59 * time.Second,
		"1 minute ago":   -61 * time.Second,
		"in 1 hour":      time.Hour - time.Second,
		"35 minutes ago": -35 * time.Minute,
		"in 24 hours":    day - time.Second, // a grace that was chosen just now
		"in 47 hours":    47 * time.Hour,
		"in 7 days":      7*day - time.Second,
		"in 90 days":     90*day - time.Minute,
		"in 12 months":   365*day - time.Minute,
		"in 18 months":   18 * 30 * day,
		"in 10 years":    3652 * day,
	} {
		if got := relative(away); got != want {
			t.Errorf("%s is formatted as %q, not %q", away, got, want)
		}
	}
}
