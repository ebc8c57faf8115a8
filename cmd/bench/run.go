package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

const (
	warmUpConnections = 16
	starts            = 5 // how often the start is measured
)

// run measures everything that the command asks for.
type run struct {
	runCommand
	folder string    // for all files
	out    io.Writer // for progress
	floor  *process
	nonce  int // of the last load
}

// all fills the report.
func (r *run) all(ctx context.Context, rep *report) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if r.floor, err = launch(ctx, filepath.Join(r.folder, "floor.log"), self, "floor"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.floor.stop()) }()
	for _, keys := range r.Keys {
		if err := r.onKeys(ctx, keys, rep); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) onKeys(ctx context.Context, keys int, rep *report) (err error) {
	if !slices.ContainsFunc(engines, func(engine string) bool { return r.measures(engine, keys) }) {
		return nil
	}
	folder := r.Seeds
	if folder == "" {
		folder = r.folder
	}
	start := time.Now()
	made, err := makeSeed(ctx, folder, keys)
	if err != nil {
		return err
	}
	g := &stage{run: r, seed: made}
	defer func() { err = errors.Join(err, g.tearDown()) }()
	if err := g.setUp(ctx); err != nil {
		return err
	}
	fmt.Fprintf(r.out, "%s keys: ready after %s\n", thousands(keys), time.Since(start).Round(time.Second))
	if r.measures(sqlite, keys) {
		took, err := g.measureStarts(ctx)
		if err != nil {
			return err
		}
		rep.starts = append(rep.starts, startTimes{keys, took})
	}
	for _, row := range r.rows() {
		if !r.measures(row.engine, keys) {
			continue
		}
		cells, err := g.onRow(ctx, row)
		if err != nil {
			return fmt.Errorf("%s, %s keys: %w", row.name, thousands(keys), err)
		}
		rep.cells = append(rep.cells, cells...)
	}
	if r.Seeds == "" { // the next one needs the room
		return os.RemoveAll(made.folder)
	}
	return nil
}

// measureStarts measures the time from the start of the process to the first answer, for which the
// service must read a key. The first start does not count, because it may migrate the database.
func (g *stage) measureStarts(ctx context.Context) ([]time.Duration, error) {
	var took []time.Duration
	for i := range starts + 1 {
		start := time.Now()
		server, err := g.serve(ctx, rows[0])
		if err != nil {
			return nil, err
		}
		err = answers(ctx, server.url+rows[0].path, g.caller(rows[0].caller))
		elapsed := time.Since(start)
		if err := errors.Join(err, server.stop()); err != nil {
			return nil, err
		}
		if i > 0 {
			took = append(took, elapsed)
		}
	}
	return took, nil
}

// onRow measures one row at each number of connections. Each row has its own server, so that its memory
// is only the row's.
func (g *stage) onRow(ctx context.Context, o row) (cells []cell, err error) {
	server, err := g.serve(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if err := g.warmUp(ctx, o, server.url); err != nil {
		return nil, err
	}
	for _, connections := range g.connections(g.keys) {
		c, err := g.onConnections(ctx, o, server, connections)
		if err != nil {
			return nil, fmt.Errorf("%d connections: %w", connections, err)
		}
		fmt.Fprintf(g.out, "  %s, -c %d: %s/s, %s of the floor\n", o.name, connections,
			number(over(c, func(p pair) float64 { return p.ours.perSecond() })), fraction(over(c, pair.toFloor)))
		cells = append(cells, c)
	}
	return cells, nil
}

// maxDisturbed is how many disturbed pairs are discarded for each pair in the result.
const maxDisturbed = 10

func (g *stage) onConnections(ctx context.Context, o row, server *process, connections int) (cell, error) {
	c := cell{row: o.name, title: o.title(g.keys), keys: g.keys, connections: connections}
	for len(c.pairs) < g.Pairs {
		p, err := g.pair(ctx, o, server, o.load(g.seed, server.url, connections, g.Seconds, g.nextNonce()))
		if err != nil {
			return c, err
		}
		// A pair may be repeated because of the machine, never because of its result.
		if p.others() > float64(g.Quiet)/100 && c.disturbed < maxDisturbed*g.Pairs {
			c.disturbed++
			fmt.Fprintf(g.out, "  %s, -c %d: repeated, others took %.0f %% of the CPU time\n",
				o.name, connections, 100*p.others())
			continue
		}
		c.pairs = append(c.pairs, p)
	}
	return c, nil
}

// nextNonce returns a number that is unique among the loads on this database.
func (r *run) nextNonce() int {
	r.nonce++
	return r.nonce
}

// pair measures the floor, then the row and, if it writes, what writes the same without a service.
func (g *stage) pair(ctx context.Context, o row, server *process, l load) (p pair, err error) {
	bare := load{url: g.floor.url, script: "get", connections: l.connections, seconds: l.seconds}
	if p.floor, err = g.measure(ctx, g.floor, bare); err != nil {
		return p, fmt.Errorf("floor: %w", err)
	}
	// Half before and half after, because a shared disk changes within seconds.
	before, err := g.without(ctx, o, l)
	if err != nil {
		return p, err
	}
	if p.ours, err = g.measure(ctx, server, l); err != nil {
		return p, err
	}
	after, err := g.without(ctx, o, l)
	p.disk, p.inserts = mean(before.disk, after.disk), (before.inserts+after.inserts)/2
	return p, err
}

// without measures what writes the same as a row without a service: the disk for one connection to SQLite, which
// commits one by one, and single inserts for PostgreSQL.
func (g *stage) without(ctx context.Context, o row, l load) (p pair, err error) {
	switch {
	case !o.writes:
	case o.engine == postgres:
		i, err := newInserts(ctx, g.cluster.url)
		if err != nil {
			return p, err
		}
		p.inserts, err = i.rate(ctx, l.connections, time.Duration(l.seconds)*time.Second/2)
		return p, err
	case l.connections == 1:
		p.disk, err = measureDisk(ctx, g.run.folder, l.seconds)
	}
	return p, err
}

// warmUp puts an unmeasured load on both servers and checks each answer; later loads check only the
// status. Verification of some keys uses each once, to fill the cache.
func (g *stage) warmUp(ctx context.Context, o row, url string) error {
	bare := load{url: g.floor.url, script: "get", connections: warmUpConnections, seconds: 1}
	if _, err := bare.run(ctx, g.run.folder); err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	for done := 0; ; {
		l := o.load(g.seed, url, warmUpConnections, 1, g.nextNonce())
		l.options = append(l.options, o.expect...)
		if o.fills() {
			l.options = append(l.options, fmt.Sprintf("from=%d", done))
		}
		f, err := l.run(ctx, g.run.folder)
		if err != nil {
			return err
		}
		if done += f.requests; !o.fills() || done >= o.among(g.seed) {
			return nil
		}
	}
}

// memoryInterval is how often the memory of a server under load is sampled.
const memoryInterval = 100 * time.Millisecond

// measure runs a load and measures the server's CPU time and memory.
func (r *run) measure(ctx context.Context, p *process, l load) (sample, error) {
	before, err := p.cpuTime()
	if err != nil {
		return sample{}, err
	}
	busy, start := busyTime(), time.Now()
	stop, most := make(chan struct{}), make(chan int)
	go func() { most <- p.watchMemory(stop) }()
	f, err := l.run(ctx, r.folder)
	busy = busyTime() - busy
	available := time.Since(start) * time.Duration(runtime.NumCPU())
	close(stop)
	memory := <-most
	after, statErr := p.cpuTime()
	if err := errors.Join(err, statErr); err != nil {
		return sample{}, errors.Join(err, p.complaints())
	}
	used := after - before
	others := max(0, float64(busy-used-f.wrk)/float64(available))
	return sample{figures: f, cpu: used, memory: memory, others: others}, nil
}

// watchMemory samples the memory until stop is closed, and returns the maximum.
func (p *process) watchMemory(stop <-chan struct{}) int {
	tick := time.NewTicker(memoryInterval)
	defer tick.Stop()
	for most := 0; ; {
		bytes, _ := p.anonymousMemory() // if the process ended, its load fails
		most = max(most, bytes)
		select {
		case <-stop:
			return most
		case <-tick.C:
		}
	}
}
