package console

import (
	"fmt"
	"time"
)

// moment is a time as a page tells it: how far from now in words, and exactly. The page's
// script turns the exact time to the reader's zone.
type moment struct {
	Known    bool
	Relative string // "in 3 days", "2 hours ago"
	Exact    string // for the reader, in UTC
	Clock    string // the hour and minute of it
	Machine  string // RFC 3339
}

func momentOf(at any, now time.Time) moment {
	t, _ := at.(time.Time)
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	return moment{
		Known: true, Relative: relative(t.Sub(now)),
		Exact: t.Format("2006-01-02 15:04:05 MST"), Clock: t.Format("15:04 MST"), Machine: t.Format(time.RFC3339),
	}
}

// relative tells how far away a time is, in the largest unit of which there are at least
// two, or one.
func relative(away time.Duration) string {
	past := away < 0
	text := words(away.Abs())
	switch {
	case text == "":
		return "just now"
	case past:
		return text + " ago"
	}
	return "in " + text
}

const day = 24 * time.Hour

// words tells a duration roughly; under ten seconds there are none.
func words(d time.Duration) string {
	if d < 10*time.Second {
		return ""
	}
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"year", 365 * day}, {"month", 30 * day}, {"day", day}, {"hour", time.Hour}, {"minute", time.Minute}} {
		// Two years, but eighteen months.
		if n := int(d / unit.long); n >= 2 || n == 1 && unit.long < 30*day {
			return plural(n, unit.name)
		}
	}
	return plural(int(d/time.Second), "second")
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
