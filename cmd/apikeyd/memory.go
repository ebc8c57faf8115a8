package main

import (
	"os"
	"runtime/debug"
)

const (
	// gcPercent lets the heap grow to four times of what is alive before it is collected:
	// with a heap as small as ours that is little memory for a tenth of the CPU time.
	gcPercent = 300
	// baseMemory and keyMemory, in bytes, are what the program and each remembered key may
	// take together before the collector works harder.
	baseMemory = 36 << 20
	keyMemory  = 512
)

// tuneMemory tells the garbage collector what to spend, unless the operator did.
func tuneMemory(cacheSize int) {
	if _, told := os.LookupEnv("GOGC"); !told {
		debug.SetGCPercent(gcPercent)
	}
	if _, told := os.LookupEnv("GOMEMLIMIT"); !told {
		debug.SetMemoryLimit(baseMemory + int64(cacheSize)*keyMemory)
	}
}
