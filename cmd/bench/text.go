package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// thousands formats 1000000 as 1,000,000.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// number formats a median and its range, as do the following functions.
func number(s spread[float64]) string {
	whole := func(f float64) string { return thousands(int(f + 0.5)) }
	return fmt.Sprintf("%s (%s–%s)", whole(s.median), whole(s.low), whole(s.high))
}

func fraction(s spread[float64]) string {
	digits := 2
	if s.median < 0.1 {
		digits = 4
	}
	return fmt.Sprintf("%.*f (%.*f–%.*f)", digits, s.median, digits, s.low, digits, s.high)
}

func durations(s spread[time.Duration]) string {
	return fmt.Sprintf("%s (%s–%s)", duration(s.median), duration(s.low), duration(s.high))
}

// duration formats three digits, or whole microseconds.
func duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Round(time.Microsecond).Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
}

func mebibytes(bytes int) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }

// spread summarizes several measurements.
type spread[T cmp.Ordered] struct{ median, low, high T }

// spreadOf returns the median and the range of at least one value. For an even number of values, the
// median is the lower of the two in the middle, so that it is a measured value.
func spreadOf[T cmp.Ordered](values []T) spread[T] {
	sorted := slices.Sorted(slices.Values(values))
	return spread[T]{
		median: sorted[(len(sorted)-1)/2],
		low:    sorted[0],
		high:   sorted[len(sorted)-1],
	}
}

// plural returns a number with its unit: 1 pair, 2 pairs.
func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
