package handlers_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/handlers"
)

// In these tests it is 2026-11-23T12:00:00.000Z.

func TestBadDates(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.mustCreate(k.admin, fields{"name": "target"})
	before := k.everything()
	tests := map[string]string{
		"empty":                           "",
		"not a date":                      "tomorrow",
		"seconds since 1970":              "1896091200",
		"date only":                       "2030-01-31",
		"no offset":                       "2030-01-31T12:00:00",
		"no seconds":                      "2030-01-31T12:00Z",
		"no time":                         "2030-01-31TZ",
		"space for T":                     "2030-01-31 12:00:00Z",
		"lower-case t":                    "2030-01-31t12:00:00Z",
		"lower-case z":                    "2030-01-31T12:00:00z",
		"white space before":              " 2030-01-31T12:00:00Z",
		"white space after":               "2030-01-31T12:00:00Z ",
		"leap second":                     "2030-06-30T23:59:60Z",
		"leap second that was":            "2016-12-31T23:59:60Z",
		"comma fraction":                  "2030-01-31T12:00:00,5Z",
		"fraction without digits":         "2030-01-31T12:00:00.Z",
		"month 13":                        "2030-13-01T12:00:00Z",
		"month 0":                         "2030-00-01T12:00:00Z",
		"day 0":                           "2030-01-00T12:00:00Z",
		"30 February":                     "2030-02-30T12:00:00Z",
		"29 February of no leap year":     "2030-02-29T12:00:00Z",
		"hour 24":                         "2030-01-31T24:00:00Z",
		"hour of one digit":               "2030-01-31T1:00:00Z",
		"minute 60":                       "2030-01-31T12:60:00Z",
		"offset without colon":            "2030-01-31T12:00:00+0100",
		"offset of hours":                 "2030-01-31T12:00:00+01",
		"offset +24:00":                   "2030-01-31T12:00:00+24:00",
		"offset -24:00":                   "2030-01-31T12:00:00-24:00",
		"offset +01:60":                   "2030-01-31T12:00:00+01:60",
		"offset and Z":                    "2030-01-31T12:00:00Z+01:00",
		"named zone":                      "2030-01-31T12:00:00 UTC",
		"zone in brackets":                "2030-01-31T12:00:00Z[UTC]",
		"week date":                       "2030-W05-4T12:00:00Z",
		"basic form":                      "20300131T120000Z",
		"year 0":                          "0000-01-01T00:00:00Z",
		"before year 0 by its offset":     "0000-01-01T00:00:00+01:00",
		"year of two digits":              "30-01-31T12:00:00Z",
		"year of five digits":             "12030-01-31T12:00:00Z",
		"year with a sign":                "+2030-01-31T12:00:00Z",
		"after year 9999 by its offset":   "9999-12-31T23:59:59-00:01",
		"after year 9999 by a day":        "9999-12-31T23:59:59.999-23:59",
		"full-width digits":               "２０３０-01-31T12:00:00Z",
		"the past":                        "2020-01-31T12:00:00Z",
		"one millisecond ago":             "2026-11-23T11:59:59.999Z",
		"exactly now":                     "2026-11-23T12:00:00Z",
		"exactly now elsewhere":           "2026-11-23T13:00:00+01:00",
		"now, once truncated":             "2026-11-23T12:00:00.000999Z",
		"the past by its offset":          "2026-11-23T12:30:00+01:00",
		"a thousand digits of a fraction": "2026-11-23T12:00:00." + strings.Repeat("0", 999) + "1Z",
	}
	for row, text := range tests {
		k.Run(row, func(k *kit) {
			k.create(k.admin, fields{"expires_at": text}).invalid("expires_at")
			k.patch(k.admin, keyPath("target"), fields{"expires_at": text}).invalid("expires_at")
		})
	}
	if diff := cmp.Diff(before, k.everything()); diff != "" {
		k.Errorf("a refused request changed something (-before +after):\n%s", diff)
	}
}

func TestGoodDates(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.mustCreate(k.admin, fields{"name": "target"})
	tests := []struct{ name, text, want string }{
		{"UTC", "2030-01-31T12:00:00Z", "2030-01-31T12:00:00.000Z"},
		{"offset east", "2030-01-31T12:00:00+05:30", "2030-01-31T06:30:00.000Z"},
		{"offset west, into the next year", "2030-12-31T20:00:00-08:00", "2031-01-01T04:00:00.000Z"},
		{"largest offset", "2030-01-31T23:59:00+23:59", "2030-01-31T00:00:00.000Z"},
		{"offset of nothing", "2030-01-31T12:00:00+00:00", "2030-01-31T12:00:00.000Z"},
		{"offset unknown", "2030-01-31T12:00:00-00:00", "2030-01-31T12:00:00.000Z"},
		{"one decimal", "2030-01-31T12:00:00.5Z", "2030-01-31T12:00:00.500Z"},
		{"milliseconds", "2030-01-31T12:00:00.123Z", "2030-01-31T12:00:00.123Z"},
		{"nanoseconds are cut, not rounded", "2030-01-31T12:00:00.123999999Z", "2030-01-31T12:00:00.123Z"},
		{"beyond nanoseconds", "2030-01-31T12:00:00.1239999999999Z", "2030-01-31T12:00:00.123Z"},
		{"29 February", "2028-02-29T00:00:00Z", "2028-02-29T00:00:00.000Z"},
		{"in a millisecond", "2026-11-23T12:00:00.001Z", "2026-11-23T12:00:00.001Z"},
		{"the end of year 9999", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"},
		{"the end of year 9999, cut", "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999Z"},
		{"the end of year 9999 elsewhere", "9999-12-31T23:59:59-00:00", "9999-12-31T23:59:59.000Z"},
	}
	for _, tt := range tests {
		k.Run(tt.name, func(k *kit) {
			created := k.mustCreate(k.admin, fields{"name": tt.name, "expires_at": tt.text})
			updated := k.patch(k.admin, keyPath("target"), fields{"expires_at": tt.text}).want(200).key()
			read := k.get(k.admin, keyPath(created.ID)).want(200).key()
			for _, got := range []key{created, updated, read} {
				if got.ExpiresAt != tt.want || got.Status != "ACTIVE" {
					k.Errorf("got %s, %s, want %s", got.ExpiresAt, got.Status, tt.want)
				}
				if got.CreatedAt != "2026-11-23T12:00:00.000Z" {
					k.Errorf("created at %s", got.CreatedAt)
				}
			}
		})
	}
}

func TestMaximumLifetime(t *testing.T) {
	t.Parallel()
	const most = 24 * time.Hour
	k := newKit(t, func(c *handlers.Config) { c.Policy.MaxLifetime = most })
	k.mustCreate(k.admin, fields{"name": "target"})

	tooLong := fields{"expires_at": k.in(most + time.Millisecond)}
	k.create(k.admin, tooLong).invalid("expires_at")
	k.patch(k.admin, keyPath("target"), tooLong).invalid("expires_at")
	k.create(k.admin, fields{"expires_at": "9999-12-31T23:59:59.999Z"}).invalid("expires_at")

	// Truncated digits do not count.
	longest := fields{"expires_at": k.in(most + time.Millisecond - 1)}
	k.create(k.admin, longest).want(201)
	k.patch(k.admin, keyPath("target"), longest).want(200)

	// The maximum counts from the request, so a key can be extended repeatedly.
	k.clock.Advance(time.Hour)
	k.patch(k.admin, keyPath("target"), fields{"expires_at": k.in(most)}).want(200)
	// A key from before the policy still accepts other changes.
	k.patch(k.admin, keyPath(k.admin.ID), fields{"name": "renamed"}).want(200)
}
