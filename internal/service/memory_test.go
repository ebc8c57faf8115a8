package service

import "testing"

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	for _, live := range []uint64{0, 1 << 20, 40 << 20, 56 << 20, 60 << 20, 1 << 30, 1 << 40} {
		got := memoryLimit(live)
		if got < memoryGoal || uint64(got) < live+live/2 || uint64(got) > max(memoryGoal, live+live/2+8<<20) {
			t.Errorf("with %d bytes alive the limit is %d", live, got)
		}
	}
}
