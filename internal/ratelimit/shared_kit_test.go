package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/ratelimit"
)

// central is the shared budget of all nodes, behind a delay. It counts with a Table.
type central struct {
	table  *ratelimit.Table[string]
	delay  func() time.Duration // each way
	mu     sync.Mutex
	asked  int
	reason error // returned instead of an answer
}

func newCentral(delay func() time.Duration) *central {
	return &central{table: ratelimit.New[string](0), delay: delay}
}

func (c *central) take(_ context.Context, subject string, limit apikey.RateLimit, calls int) (g ratelimit.Grant, err error) {
	time.Sleep(c.delay())
	c.mu.Lock()
	c.asked++
	err = c.reason
	var q ratelimit.State
	for err == nil && g.Calls < calls {
		if q = c.table.Take(subject, limit, time.Now()); !q.Allowed {
			break
		}
		g.Calls++
	}
	c.mu.Unlock()
	g.Level = max(q.Reset.Microseconds()-1, 0) * int64(limit.Limit) // it was rounded up
	time.Sleep(c.delay())
	return g, err
}

// questions returns the number of requests since the last call.
func (c *central) questions() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.asked
	c.asked = 0
	return asked
}

func (c *central) fail(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reason = reason
}

func (c *central) node() *ratelimit.Shared[string] { return ratelimit.NewShared(c.take, time.Now) }

func at(delay time.Duration) func() time.Duration { return func() time.Duration { return delay } }

// passes holds the times of calls that passed, on any node.
type passes struct {
	mu    sync.Mutex
	times []time.Time
}

func (p *passes) add(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.times = append(p.times, at)
}

// check checks the guarantee for all spans of time: at most Limit + Limit × (t + Window × late)/Window calls
// in any t.
func (p *passes) check(limit apikey.RateLimit, late float64) error {
	slices.SortFunc(p.times, time.Time.Compare)
	fill, last := 0.0, time.Time{} // in calls, of a bucket that overflows if any span holds more
	for i, at := range p.times {
		fill = max(fill-float64(limit.Limit)*float64(at.Sub(last))/float64(limit.Window), 0) + 1
		if most := float64(limit.Limit) * (1 + late); fill > most+1e-3 { // a Table counts in whole microseconds
			return fmt.Errorf("call %d at %s brings it to %.4f calls, want at most %.4f", i, at, fill, most)
		}
		last = at
	}
	return nil
}

// granted checks each call that passes on a node against the node's grants.
type granted struct {
	central *central
	term    time.Duration // how long a grant is valid
	mu      sync.Mutex
	times   []time.Time // of granted calls that did not pass yet
	err     error
}

func (g *granted) take(ctx context.Context, subject string, limit apikey.RateLimit, calls int) (ratelimit.Grant, error) {
	before := time.Now()
	grant, err := g.central.take(ctx, subject, limit, calls)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.times = append(g.times, slices.Repeat([]time.Time{before}, grant.Calls)...)
	return grant, err
}

func (g *granted) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.times = slices.DeleteFunc(g.times, func(at time.Time) bool { return time.Since(at) > g.term })
	if len(g.times) == 0 {
		g.err = errors.New("a call passed that was not granted within the term")
		return
	}
	g.times = g.times[1:]
}

// load makes calls to one node until ctx ends.
func load(ctx context.Context, node *ratelimit.Shared[string], limit apikey.RateLimit, pass func(), random *rand.Rand) {
	for ctx.Err() == nil {
		rate := float64(limit.Limit) / limit.Window.Seconds() * []float64{0.01, 0.1, 0.3, 1, 3}[random.IntN(5)]
		for range 1 + random.IntN(2*limit.Limit) { // a phase of about this rate
			quota, err := node.Take(ctx, "a", limit)
			if err == nil && quota.Allowed {
				pass()
			}
			if ctx.Err() != nil {
				return
			}
			time.Sleep(time.Duration(random.ExpFloat64() / rate * float64(time.Second)))
		}
	}
}
