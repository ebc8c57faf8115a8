package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// heapGoal is how large, in bytes, the heap may grow before it is collected, as long
	// as less than that is alive: collecting a small heap often costs a tenth of the CPU
	// time. With the default cache full, the process stays below 96 MiB.
	heapGoal = 84 << 20
	// The bounds of GOGC, by which the goal is reached. Below the lower one the collector
	// would do little else; a heap with more alive grows by half.
	minGCPercent = 50
	maxGCPercent = 400
)

// tuneMemory keeps the heap near heapGoal until ctx ends, unless the operator said what
// the garbage collector shall do.
func tuneMemory(ctx context.Context) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, told := os.LookupEnv(name); told {
			return
		}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for percent := maxGCPercent; ; {
		debug.SetGCPercent(percent)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(live)
		percent = gcPercent(live[0].Value.Uint64())
	}
}

// gcPercent is by how much a heap may grow, in percent of what is alive of it.
func gcPercent(live uint64) int {
	if live == 0 || live >= heapGoal {
		return minGCPercent
	}
	return int(min(max((heapGoal-live)*100/live, minGCPercent), maxGCPercent))
}
