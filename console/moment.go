package console

import (
	"fmt"
	"time"
)

// moment is a time on a page, relative to now and exact. The page's script converts the exact time
// to the reader's zone.
type moment struct {
	Known    bool
	Relative string // "in 3 days", "2 hours ago"
	Exact    string // for the reader, in UTC
	Clock    string // hour and minute
	Machine  string // RFC 3339
}

func momentOf(t, now time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	return moment{
		Known: true, Relative: relative(t.Sub(now)),
		Exact: t.Format("2006-01-02 15:04:05 MST"), Clock: t.Format("15:04 MST"), Machine: t.Format(time.RFC3339),
	}
}

// relative formats how far away a time is.
func relative(away time.Duration) string {
	past := away < 0
	text := roughDuration(away.Abs())
	switch {
	case text == "":
		return "just now"
	case past:
		return text + " ago"
	}
	return "in " + text
}

const day = 24 * time.Hour

// roughDuration formats a duration roughly, in the units of lifetimes and graces: a key of 90 days
// ends "in 90 days". It returns nothing for less than ten seconds.
func roughDuration(d time.Duration) string {
	if d < 10*time.Second {
		return ""
	}
	units := []struct {
		name       string
		long, from time.Duration
	}{
		{"year", 365 * day, 2 * 365 * day}, {"month", 30 * day, 120 * day}, {"day", day, 2 * day},
		{"hour", time.Hour, time.Hour}, {"minute", time.Minute, time.Minute}, {"second", time.Second, 0},
	}
	last := len(units) - 1
	for i, unit := range units[:last] {
		if d.Round(units[i+1].long) >= unit.from { // 59.9 minutes are an hour
			return plural(int(d.Round(unit.long)/unit.long), unit.name)
		}
	}
	return plural(int(d.Round(time.Second)/time.Second), units[last].name)
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
