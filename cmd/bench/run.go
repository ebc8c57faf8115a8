package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
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

func (r *run) onKeys(ctx context.Context, keys int, rep *report) error {
	folder := r.Seeds
	if folder == "" {
		folder = r.folder
	}
	start := time.Now()
	made, err := makeSeed(ctx, folder, keys)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "%s keys: ready after %s\n", thousands(keys), time.Since(start).Round(time.Second))
	if err := made.copyTo(r.database()); err != nil {
		return err
	}
	took, err := r.measureStarts(ctx, made)
	if err != nil {
		return err
	}
	rep.starts = append(rep.starts, startTimes{keys, took})
	for _, row := range r.rows() {
		cells, err := r.onRow(ctx, made, row)
		if err != nil {
			return fmt.Errorf("%s, %s keys: %w", row.name, thousands(keys), err)
		}
		rep.cells = append(rep.cells, cells...)
	}
	return nil
}

func (r *run) database() string { return filepath.Join(r.folder, "keys.db") }

// serve starts the service on the copy of the seed.
func (r *run) serve(ctx context.Context) (*process, error) {
	args := []string{"serve", "--listen", "127.0.0.1:0", "--database", r.database()}
	return launch(ctx, filepath.Join(r.folder, "apikeyd.log"), r.Program, append(args, r.ServeFlag...)...)
}

// measureStarts measures the time from the start of the process to the first answer, for which the
// service must read a key. The first start does not count, because it may migrate the database.
func (r *run) measureStarts(ctx context.Context, s seed) ([]time.Duration, error) {
	var took []time.Duration
	for i := range starts + 1 {
		start := time.Now()
		server, err := r.serve(ctx)
		if err != nil {
			return nil, err
		}
		err = answers(ctx, server.url+rows[0].path, s.caller(rows[0].caller))
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
func (r *run) onRow(ctx context.Context, s seed, o row) (cells []cell, err error) {
	if why := o.leftOut(s.keys, r.Cache); why != "" {
		fmt.Fprintf(r.out, "  %s: %s\n", o.name, why)
		return []cell{{title: o.title(s.keys), keys: s.keys, leftOut: why}}, nil
	}
	server, err := r.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if err := r.warmUp(ctx, s, o, server.url); err != nil {
		return nil, err
	}
	for _, connections := range r.Connections {
		c, err := r.onConnections(ctx, s, o, server, connections)
		if err != nil {
			return nil, fmt.Errorf("%d connections: %w", connections, err)
		}
		fmt.Fprintf(r.out, "  %s, -c %d: %s/s, %s of the floor\n", o.name, connections,
			number(over(c, func(p pair) float64 { return p.ours.perSecond() })), fraction(over(c, pair.toFloor)))
		cells = append(cells, c)
	}
	return cells, nil
}

// maxDisturbed is how many disturbed pairs are discarded for each pair in the result.
const maxDisturbed = 10

func (r *run) onConnections(ctx context.Context, s seed, o row, server *process, connections int) (cell, error) {
	c := cell{title: o.title(s.keys), keys: s.keys, connections: connections}
	for len(c.pairs) < r.Pairs {
		p, err := r.pair(ctx, o, server, o.load(s, server.url, connections, r.Seconds, r.nextNonce()))
		if err != nil {
			return c, err
		}
		// A pair may be repeated because of the machine, never because of its result.
		if p.others() > float64(r.Quiet)/100 && c.disturbed < maxDisturbed*r.Pairs {
			c.disturbed++
			fmt.Fprintf(r.out, "  %s, -c %d: repeated, others took %.0f %% of the CPU time\n",
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

// pair measures the floor, then our service and, if the row writes, the disk.
func (r *run) pair(ctx context.Context, o row, server *process, l load) (p pair, err error) {
	bare := load{url: r.floor.url, script: "get", connections: l.connections, seconds: l.seconds}
	if p.floor, err = r.measure(ctx, r.floor, bare); err != nil {
		return p, fmt.Errorf("floor: %w", err)
	}
	if !o.writes || l.connections > 1 {
		p.ours, err = r.measure(ctx, server, l)
		return p, err
	}
	// Half before and half after, because a shared disk changes within seconds.
	before, err := measureDisk(ctx, r.folder, l.seconds)
	if err != nil {
		return p, err
	}
	if p.ours, err = r.measure(ctx, server, l); err != nil {
		return p, err
	}
	after, err := measureDisk(ctx, r.folder, l.seconds)
	p.disk = mean(before, after)
	return p, err
}

// warmUp puts an unmeasured load on both servers and checks each answer; later loads check only the
// status. Verification uses all its keys once, to fill the cache.
func (r *run) warmUp(ctx context.Context, s seed, o row, url string) error {
	bare := load{url: r.floor.url, script: "get", connections: warmUpConnections, seconds: 1}
	if _, err := bare.run(ctx, r.folder); err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	for done := 0; ; {
		l := o.load(s, url, warmUpConnections, 1, r.nextNonce())
		l.options = append(l.options, o.expect...)
		if o.script == "verify" {
			l.options = append(l.options, fmt.Sprintf("from=%d", done))
		}
		f, err := l.run(ctx, r.folder)
		if err != nil {
			return err
		}
		if done += f.requests; o.script != "verify" || o.misses || done >= o.among(s) {
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
