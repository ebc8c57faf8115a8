package service

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// gcPercent lets a heap as small as ours usually is grow to five times of what is
	// alive before it is collected: that saves a tenth of the CPU time.
	gcPercent = 400
	// memoryGoal, in bytes, is how much Go's memory may become that way. With the default
	// cache full of ordinary keys, the process stays below 96 MiB.
	memoryGoal = 84 << 20
)

// tuneMemory tells the garbage collector what to spend until ctx ends, unless the
// operator did. Its limit is soft and follows what is alive: one that stood below would
// have it run without end.
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

// memoryLimit is the goal, or half more than is alive, in steps of 8 MiB.
func memoryLimit(live uint64) int64 {
	const step = 8 << 20
	return max(memoryGoal, int64(min(live, 1<<50)*3/2)/step*step+step)
}
