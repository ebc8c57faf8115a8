package main

import "testing"

func TestGCPercent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		live uint64
		want int
	}{
		{0, minGCPercent}, {1, maxGCPercent}, {1 << 20, maxGCPercent}, {heapGoal / 2, 100}, {heapGoal / 4, 300},
		{heapGoal - 1, minGCPercent}, {heapGoal, minGCPercent}, {1 << 40, minGCPercent},
	} {
		if got := gcPercent(tt.live); got != tt.want {
			t.Errorf("with %d bytes alive %d %%, want %d %%", tt.live, got, tt.want)
		}
	}
}
