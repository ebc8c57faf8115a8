package apikey_test

import (
	"errors"
	"testing"
	"time"

	"apikeyd/apikey"
)

func TestPeriodAt(t *testing.T) {
	t.Parallel()
	date := func(text string) time.Time {
		at, err := time.Parse(time.DateTime, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, tt := range []struct {
		period     apikey.Period
		startsOn   int
		at         string
		start, end string
	}{
		{apikey.Day, 1, "2026-11-29 00:00:00", "2026-11-29", "2026-11-30"},
		{apikey.Day, 1, "2026-12-31 23:59:59", "2026-12-31", "2027-01-01"},
		{apikey.Week, 1, "2026-11-29 12:00:00", "2026-11-23", "2026-11-30"}, // a Sunday
		{apikey.Week, 7, "2026-11-29 00:00:00", "2026-11-29", "2026-12-06"},
		{apikey.Week, 7, "2026-11-28 23:59:59", "2026-11-22", "2026-11-29"},
		{apikey.Month, 1, "2026-12-31 23:59:59", "2026-12-01", "2027-01-01"},
		{apikey.Month, 15, "2026-01-14 23:59:59", "2025-12-15", "2026-01-15"},
		{apikey.Month, 15, "2026-01-15 00:00:00", "2026-01-15", "2026-02-15"},
		{apikey.Month, 31, "2026-02-27 23:59:59", "2026-01-31", "2026-02-28"},
		{apikey.Month, 31, "2026-02-28 00:00:00", "2026-02-28", "2026-03-31"},
		{apikey.Month, 31, "2028-02-28 12:00:00", "2028-01-31", "2028-02-29"}, // a leap year
		{apikey.Month, 30, "2026-03-01 00:00:00", "2026-02-28", "2026-03-30"},
	} {
		quota := apikey.Quota{Limit: 1, Period: tt.period, StartsOn: tt.startsOn}
		at := date(tt.at)
		start, end := quota.PeriodAt(at.In(time.FixedZone("", 14*3600)))
		if !start.Equal(date(tt.start+" 00:00:00")) || !end.Equal(date(tt.end+" 00:00:00")) {
			t.Errorf("%s from day %d at %s: %s to %s, want %s to %s", tt.period, tt.startsOn, tt.at, start, end, tt.start, tt.end)
		}
	}
}

// Periods follow each other without gaps and overlaps.
func FuzzPeriodAt(f *testing.F) {
	f.Add(uint8(2), uint8(31), int64(1_772_000_000))
	f.Fuzz(func(t *testing.T, period, startsOn uint8, seconds int64) {
		quota := apikey.Quota{
			Limit:    1,
			Period:   []apikey.Period{apikey.Day, apikey.Week, apikey.Month}[period%3],
			StartsOn: 1 + int(startsOn)%[]int{1, 7, 31}[period%3],
		}
		at := time.Unix(seconds%200_000_000_000, 0)
		start, end := quota.PeriodAt(at)
		if at.Before(start) || !at.Before(end) {
			t.Fatalf("%s: %s is not within %s and %s", quota, at, start, end)
		}
		if s, e := quota.PeriodAt(end.Add(-time.Nanosecond)); !s.Equal(start) || !e.Equal(end) {
			t.Errorf("%s: the last moment belongs to %s until %s, not to %s until %s", quota, s, e, start, end)
		}
		if next, _ := quota.PeriodAt(end); !next.Equal(end) {
			t.Errorf("%s: the next period starts at %s, want %s", quota, next, end)
		}
	})
}

func TestCheckQuota(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		quota apikey.Quota
		fault string
	}{
		{apikey.Quota{}, ""},
		{apikey.Quota{Limit: 1, Period: apikey.Day, StartsOn: 1}, ""},
		{apikey.Quota{Limit: apikey.MaxQuota, Period: apikey.Month, StartsOn: 31}, ""},
		{apikey.Quota{Limit: 0, Period: apikey.Day, StartsOn: 1}, "quota.limit"},
		{apikey.Quota{Limit: apikey.MaxQuota + 1, Period: apikey.Day, StartsOn: 1}, "quota.limit"},
		{apikey.Quota{Limit: 1, Period: "year", StartsOn: 1}, "quota.period"},
		{apikey.Quota{Limit: 1, StartsOn: 1}, "quota.period"},
		{apikey.Quota{Limit: 1, Period: apikey.Day, StartsOn: 2}, "quota.starts_on"},
		{apikey.Quota{Limit: 1, Period: apikey.Week, StartsOn: 8}, "quota.starts_on"},
		{apikey.Quota{Limit: 1, Period: apikey.Month, StartsOn: 0}, "quota.starts_on"},
	} {
		got := ""
		if invalid, ok := errors.AsType[*apikey.InvalidError](apikey.CheckQuota(tt.quota)); ok {
			got = invalid.Fields[0].Field
		}
		if got != tt.fault {
			t.Errorf("%+v: fault in %q, want %q", tt.quota, got, tt.fault)
		}
	}
}
