package main

import (
	"cmp"
	"slices"
)

// spread is what several measurements of one thing come to.
type spread[T cmp.Ordered] struct{ median, low, high T }

// spreadOf returns the median and the range of at least one value. Of an even number it
// takes the lower of the two in the middle, which was measured, and not their mean.
func spreadOf[T cmp.Ordered](values []T) spread[T] {
	sorted := slices.Sorted(slices.Values(values))
	return spread[T]{
		median: sorted[(len(sorted)-1)/2],
		low:    sorted[0],
		high:   sorted[len(sorted)-1],
	}
}
