package apikey

import (
	"testing"
	"time"
)

// A time is written as its layout says, whatever its zone and fraction.
func TestTimestampForm(t *testing.T) {
	t.Parallel()
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("", -11*60*60), time.FixedZone("", 5*60*60+45*60)} {
		for _, year := range []int{0, 1, 1969, 1970, 2026, 9998} {
			for _, ns := range []int{0, 1, 999_999, 1e6, 9_999_999, 10e6, 120e6, 999_999_999} {
				at := time.Date(year, 12, 31, 23, 59, 58, ns, zone)
				if got, want := Timestamp(at).String(), at.UTC().Format(timestampLayout); got != want {
					t.Errorf("%v is written %s, want %s", at, got, want)
				}
			}
		}
	}
}
