package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The service's targets.
const (
	createToDisk    = 0.60
	createToInserts = 0.50
	growthLimit     = 1.2
	memoryLimit     = 96 << 20
	binaryLimit     = 40_000_000
	startLimit      = 150 * time.Millisecond
)

// ofFloor are the rows that must reach so much of the floor.
var ofFloor = []struct {
	row   string
	least float64
}{
	{"forward-auth", 0.90},
	{"verify-one", 0.85},
	{"verify-many", 0.75},
	{"verify-miss", 0.50},
	{"get", 0.85},
	{"list", 0.45},
	{"create", 0.38},
}

// target is a target and its result.
type target struct {
	what, limit, reached string // without a limit it is only reported
	met                  bool
}

func (r *report) targets() []target {
	var targets []target
	for _, of := range ofFloor {
		if c, ok := r.cell(of.row, r.command.mainKeys(), r.command.mainConnections()); ok {
			ratio := over(c, pair.toFloor)
			targets = append(targets, target{
				what:  fmt.Sprintf("%s at %d connections, %s keys, of the floor", c.title, c.connections, thousands(c.keys)),
				limit: fmt.Sprintf("at least %.2f", of.least), reached: fraction(ratio), met: ratio.median >= of.least,
			})
		}
	}
	if c, ok := r.cell("create", r.command.mainKeys(), 1); ok {
		targets = append(targets, diskTargets(c)...)
	}
	for _, connections := range r.command.Connections {
		if c, ok := r.cell("postgres-create", r.command.mainKeys(), connections); ok {
			targets = append(targets, insertsTarget(c, connections == r.command.mainConnections()))
		}
	}
	targets = append(targets, r.growthTarget()...)
	targets = append(targets, r.memoryTarget()...)
	targets = append(targets, target{
		what: "size of the binary", limit: "at most 40 MB",
		reached: fmt.Sprintf("%.1f MB", float64(r.binary)/1e6), met: r.binary <= binaryLimit,
	})
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

// cell returns what was measured of a row.
func (r *report) cell(row string, keys, connections int) (cell, bool) {
	i := slices.IndexFunc(r.cells, func(c cell) bool {
		return c.row == row && c.keys == keys && c.connections == connections
	})
	if i < 0 {
		return cell{}, false
	}
	return r.cells[i], true
}

// diskTargets compare the rate of creations by one client with the disk. Only the ratio to appending is
// a target; overwriting shows the upper bound.
func diskTargets(c cell) []target {
	appends, overwrites := over(c, pair.toAppends), over(c, pair.toOverwrites)
	rate := func(of func(disk) float64) string {
		return number(over(c, func(p pair) float64 { return of(p.disk) }))
	}
	return []target{{
		what:    fmt.Sprintf("%s at 1 connection, %s keys, of append and fsync on the same disk", c.title, thousands(c.keys)),
		limit:   fmt.Sprintf("at least %.2f", createToDisk),
		reached: fmt.Sprintf("%s of %s/s", fraction(appends), rate(func(d disk) float64 { return d.appends })),
		met:     appends.median >= createToDisk,
	}, {
		what:    "the same, of overwrite and fsync",
		reached: fmt.Sprintf("%s of %s/s", fraction(overwrites), rate(func(d disk) float64 { return d.overwrites })),
	}}
}

// insertsTarget compares creations on PostgreSQL with inserts of the same rows.
func insertsTarget(c cell, isTarget bool) target {
	ratio := over(c, pair.toInserts)
	t := target{
		what: fmt.Sprintf("%s at %s, %s keys, of inserts by as many callers", c.title, plural(c.connections, "connection"), thousands(c.keys)),
		reached: fmt.Sprintf("%s of %s/s", fraction(ratio),
			number(over(c, func(p pair) float64 { return p.inserts }))),
	}
	if isTarget {
		t.limit, t.met = fmt.Sprintf("at least %.2f", createToInserts), ratio.median >= createToInserts
	}
	return t
}

// growthTarget compares the most keys with the fewest: the row that lost most of its share of the floor.
func (r *report) growthTarget() []target {
	few, many := slices.Min(r.command.Keys), slices.Max(r.command.Keys)
	slowest, worst := "", 0.0
	for _, c := range r.cells {
		before, ok := r.cell(c.row, few, c.connections)
		if c.keys != many || few == many || !ok {
			continue
		}
		if times := over(before, pair.toFloor).median / over(c, pair.toFloor).median; times > worst {
			slowest, worst = c.row, times
		}
	}
	if slowest == "" {
		return nil
	}
	return []target{{
		what:  fmt.Sprintf("the row that %s keys slow down most, against %s", thousands(many), thousands(few)),
		limit: fmt.Sprintf("at most %.1f times", growthLimit), reached: fmt.Sprintf("%.2f times (%s)", worst, slowest),
		met: worst <= growthLimit,
	}}
}

// memoryTarget is about apikeyd's own rows.
func (r *report) memoryTarget() []target {
	most := 0
	for _, c := range r.cells {
		if !strings.HasPrefix(c.row, plain) {
			most = max(most, over(c, func(p pair) int { return p.ours.memory }).high)
		}
	}
	if most == 0 {
		return nil
	}
	return []target{{
		what: "anonymous memory under load, the most of all lines", limit: mebibytes(memoryLimit) + " at most",
		reached: mebibytes(most), met: most <= memoryLimit,
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
