package main

import "time"

// cell is one row with one number of connections and one number of keys.
type cell struct {
	row         string // its name
	title       string
	keys        int
	connections int
	pairs       []pair
	disturbed   int // pairs that were repeated
}

// pair is two loads, one right after the other.
type pair struct {
	floor, ours sample
	disk        disk    // measured around ours; zero if not measured
	inserts     float64 // the same rows per second without a service, measured around ours; zero if not measured
}

// sample is one load and its cost for the server.
type sample struct {
	figures
	cpu    time.Duration // for all requests
	memory int           // maximum of anonymous memory, in bytes
	others float64       // share of the machine's CPU time that other processes took
}

func (s sample) cpuPerRequest() time.Duration { return s.cpu / time.Duration(s.requests) }

// over returns the spread of a value over all pairs.
func over[T int | float64 | time.Duration](c cell, of func(pair) T) spread[T] {
	values := make([]T, len(c.pairs))
	for i, p := range c.pairs {
		values[i] = of(p)
	}
	return spreadOf(values)
}

// toFloor is the ratio within a pair, so that a temporarily slow machine affects both sides.
func (p pair) toFloor() float64 { return p.ours.perSecond() / p.floor.perSecond() }

// others is the larger share of other processes in the two loads.
func (p pair) others() float64 { return max(p.floor.others, p.ours.others) }

func (p pair) toAppends() float64 { return p.ours.perSecond() / p.disk.appends }

func (p pair) toOverwrites() float64 { return p.ours.perSecond() / p.disk.overwrites }

func (p pair) toInserts() float64 { return p.ours.perSecond() / p.inserts }
