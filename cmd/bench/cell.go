package main

import "time"

// cell is one row at one number of connections, on one number of keys.
type cell struct {
	title       string
	keys        int
	connections int
	leftOut     string // why it was not measured; empty if it was
	pairs       []pair
	disturbed   int // pairs that were measured again
}

// pair is two loads, one right after the other.
type pair struct {
	floor, ours sample
	disk        disk // around ours; zero if not measured
}

// sample is what one load cost its server.
type sample struct {
	figures
	cpu    time.Duration // used by all requests
	memory int           // anonymous, in bytes, the most that was seen
	others float64       // which part of the machine's CPU time everything else took
}

func (s sample) cpuPerRequest() time.Duration { return s.cpu / time.Duration(s.requests) }

// over returns the spread of something that each pair has.
func over[T int | float64 | time.Duration](c cell, of func(pair) T) spread[T] {
	values := make([]T, len(c.pairs))
	for i, p := range c.pairs {
		values[i] = of(p)
	}
	return spreadOf(values)
}

// toFloor is measured within a pair, so that a machine that is slow for a while slows
// both sides.
func (p pair) toFloor() float64 { return p.ours.perSecond() / p.floor.perSecond() }

// others is what else the machine did meanwhile.
func (p pair) others() float64 { return max(p.floor.others, p.ours.others) }

func (p pair) toAppends() float64 { return p.ours.perSecond() / p.disk.appends }

func (p pair) toOverwrites() float64 { return p.ours.perSecond() / p.disk.overwrites }
