package main

import (
	"cmp"
	"slices"
)

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
