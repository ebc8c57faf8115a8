package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// The report stands between these lines; the rest of the document stays.
const (
	reportBegin = "<!-- report: begin (make bench writes what follows) -->"
	reportEnd   = "<!-- report: end -->"
)

// startTimes are the times from the service's start to its first answer.
type startTimes struct {
	keys int
	took []time.Duration
}

// report is the result of a run.
type report struct {
	machine machine
	date    time.Time
	command runCommand
	binary  int64    // bytes
	notes   []string // sentences about what was not measured as asked
	starts  []startTimes
	cells   []cell
}

func newReport(ctx context.Context, c *runCommand) (*report, error) {
	info, err := os.Stat(c.Program)
	if err != nil {
		return nil, err
	}
	m, err := describeMachine(ctx, c.Program)
	if err != nil {
		return nil, err
	}
	return &report{machine: m, date: time.Now(), command: *c, binary: info.Size()}, nil
}

// String returns the report as Markdown.
func (r *report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s: %s; %s. apikeyd of %s; Echo %s on both sides; %s. ",
		r.date.UTC().Format("2006-01-02 15:04 UTC"), r.machine.hardware, r.machine.system,
		r.machine.program, r.machine.echo, r.machine.wrk)
	fmt.Fprintf(&b, "%d pairs of %d s for each line.", r.command.Pairs, r.command.Seconds)
	if len(r.command.ServeFlag) > 0 {
		fmt.Fprintf(&b, " apikeyd serve %s.", strings.Join(r.command.ServeFlag, " "))
	}
	r.writeDisturbance(&b)
	for _, note := range r.notes {
		b.WriteString(" " + note)
	}
	b.WriteString("\n\n")
	r.writeTargets(&b)
	for _, keys := range r.command.Keys {
		r.writeTable(&b, keys)
	}
	return b.String()
}

// writeDisturbance writes how much CPU time other processes took.
func (r *report) writeDisturbance(b *strings.Builder) {
	var others []float64
	disturbed := 0
	for _, c := range r.cells {
		disturbed += c.disturbed
		for _, p := range c.pairs {
			others = append(others, p.floor.others, p.ours.others)
		}
	}
	if len(others) > 0 {
		s := spreadOf(others)
		fmt.Fprintf(b, " Processes other than the server and wrk took %.0f %% of the CPU time (%.0f–%.0f %%).",
			100*s.median, 100*s.low, 100*s.high)
	}
	if disturbed > 0 {
		fmt.Fprintf(b, " %d pairs were repeated because they took more than %d %%.", disturbed, r.command.Quiet)
	}
}

func (r *report) writeTable(b *strings.Builder, keys int) {
	fmt.Fprintf(b, "\n### %s keys stored\n\n", thousands(keys))
	b.WriteString("| operation | connections | requests/s | of the floor | p50 | p99 | CPU per request | RssAnon |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, connections := range r.command.Connections {
		r.writeFloor(b, keys, connections)
	}
	for _, c := range r.cells {
		if c.keys == keys {
			writeCell(b, c, func(p pair) sample { return p.ours }, fraction(over(c, pair.toFloor)))
		}
	}
}

// writeFloor writes the floor's line, from all its pairs.
func (r *report) writeFloor(b *strings.Builder, keys, connections int) {
	floor := cell{title: "floor: bare Echo, 300 bytes", keys: keys, connections: connections}
	for _, c := range r.cells {
		if c.keys == keys && c.connections == connections {
			floor.pairs = append(floor.pairs, c.pairs...)
		}
	}
	if len(floor.pairs) > 0 {
		writeCell(b, floor, func(p pair) sample { return p.floor }, "1")
	}
}

func writeCell(b *strings.Builder, c cell, side func(pair) sample, ratio string) {
	fmt.Fprintf(b, "| %s | %d | %s | %s | %s | %s | %s | %s |\n", c.title, c.connections,
		number(over(c, func(p pair) float64 { return side(p).perSecond() })),
		ratio,
		duration(over(c, func(p pair) time.Duration { return side(p).p50 }).median),
		durations(over(c, func(p pair) time.Duration { return side(p).p99 })),
		duration(over(c, func(p pair) time.Duration { return side(p).cpuPerRequest() }).median),
		mebibytes(over(c, func(p pair) int { return side(p).memory }).high))
}

// writeReport puts a report into a file: between its markers if it has them.
func writeReport(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, []byte(replaceReport(string(old), text)), 0o600) // an existing file keeps its mode
}

func replaceReport(document, text string) string {
	before, rest, begins := strings.Cut(document, reportBegin+"\n")
	_, after, ends := strings.Cut(rest, reportEnd)
	if !begins || !ends {
		return text
	}
	return before + reportBegin + "\n\n" + text + "\n" + reportEnd + after
}
