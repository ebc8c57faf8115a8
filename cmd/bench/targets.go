package main

import (
	"fmt"
	"strings"
	"time"
)

// The service's targets.
const (
	createToDisk = 0.8
	memoryLimit  = 96 << 20
	binaryLimit  = 40_000_000
	startLimit   = 150 * time.Millisecond
)

// target is a target and its result.
type target struct {
	what, limit, reached string // without a limit it is only reported
	met                  bool
}

func (r *report) targets() []target {
	targets := []target{{
		what: "size of the binary", limit: "at most 40 MB",
		reached: fmt.Sprintf("%.1f MB", float64(r.binary)/1e6), met: r.binary <= binaryLimit,
	}}
	memory := 0
	for _, c := range r.cells {
		for _, p := range c.pairs {
			memory = max(memory, p.ours.memory)
		}
		if len(c.pairs) > 0 && c.pairs[0].disk != (disk{}) {
			targets = append(targets, diskTargets(c)...)
		}
	}
	if memory > 0 {
		targets = append(targets, target{
			what: "anonymous memory under load, the most of all lines", limit: mebibytes(memoryLimit) + " at most",
			reached: mebibytes(memory), met: memory <= memoryLimit,
		})
	}
	for _, s := range r.starts {
		took := spreadOf(s.took)
		targets = append(targets, target{
			what:    fmt.Sprintf("start to first answer, %s keys", thousands(s.keys)),
			limit:   "at most " + duration(startLimit),
			reached: durations(took), met: took.median <= startLimit,
		})
	}
	return targets
}

// diskTargets compare the rate of creations by one client with the disk. Only the ratio to appending is
// a target; overwriting shows the upper bound.
func diskTargets(c cell) []target {
	appends, overwrites := over(c, pair.toAppends), over(c, pair.toOverwrites)
	rate := func(of func(disk) float64) string {
		return number(over(c, func(p pair) float64 { return of(p.disk) }))
	}
	return []target{{
		what:    fmt.Sprintf("create at 1 connection, to append and fsync on the same disk, %s keys", thousands(c.keys)),
		limit:   fmt.Sprintf("at least %.1f", createToDisk),
		reached: fmt.Sprintf("%s of %s/s", fraction(appends), rate(func(d disk) float64 { return d.appends })),
		met:     appends.median >= createToDisk,
	}, {
		what:    "the same, to overwrite and fsync",
		reached: fmt.Sprintf("%s of %s/s", fraction(overwrites), rate(func(d disk) float64 { return d.overwrites })),
	}}
}

func (r *report) writeTargets(b *strings.Builder) {
	b.WriteString("| target | limit | reached | met |\n|---|---|---|---|\n")
	for _, t := range r.targets() {
		met := "**no**"
		switch {
		case t.limit == "":
			met = ""
		case t.met:
			met = "yes"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", t.what, t.limit, t.reached, met)
	}
}
