package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/ratelimit"
)

// The guarantee holds, at a bounded cost, for any number of nodes, load and delay.
func TestSharedPromise(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 7))
				limit := per(1+random.IntN([]int{9, 100, 3000}[seed%3]), []time.Duration{time.Second, time.Minute, 24 * time.Hour}[seed/3%3])
				delays := rand.New(rand.NewPCG(seed, 8))
				slowest := 1 + delays.Int64N(int64(20*time.Millisecond))
				c := newCentral(nil)
				var drawing sync.Mutex
				c.delay = func() time.Duration {
					drawing.Lock()
					defer drawing.Unlock()
					return time.Duration(delays.Int64N(slowest))
				}
				passed, nodes := &passes{}, 1+random.IntN(5)
				const windows = 6
				ctx, cancel := context.WithTimeout(t.Context(), windows*limit.Window)
				defer cancel()
				var callers sync.WaitGroup
				ledgers := make([]*granted, nodes)
				for n := range nodes {
					own := &granted{central: c, term: limit.Window / 10}
					node := ratelimit.NewShared(own.take, time.Now)
					pass := func() { passed.add(time.Now()); own.pass() }
					ledgers[n] = own
					for i := range 2 {
						callers.Go(func() {
							load(ctx, node, limit, pass, rand.New(rand.NewPCG(seed, uint64(100+10*n+i))))
						})
					}
				}
				callers.Wait()
				synctest.Wait()
				time.Sleep(time.Second) // for the last answers
				if err := passed.check(limit, 0.1); err != nil {
					t.Errorf("%+v on %d nodes: %v", limit, nodes, err)
				}
				for _, own := range ledgers {
					if own.err != nil {
						t.Errorf("%+v on %d nodes: %v", limit, nodes, own.err)
					}
				}
			})
		})
	}
}

// burst makes calls until one is refused, and returns how many passed.
func burst(t *testing.T, node *ratelimit.Shared[string], limit apikey.RateLimit) (passed int) {
	t.Helper()
	for {
		quota, err := node.Take(t.Context(), "a", limit)
		if err != nil {
			t.Fatal(err)
		}
		if !quota.Allowed {
			if quota.Remaining != 0 || quota.RetryAfter <= 0 {
				t.Errorf("refused with %+v", quota)
			}
			return passed
		}
		passed++
	}
}

// Limits below 10 are exact, whichever nodes get the calls.
func TestSharedSmallLimits(t *testing.T) {
	t.Parallel()
	for limit := 1; limit < 10; limit++ {
		synctest.Test(t, func(t *testing.T) {
			rate, c, passed := per(limit, time.Minute), newCentral(at(time.Millisecond)), &passes{}
			nodes := []*ratelimit.Shared[string]{c.node(), c.node(), c.node()}
			for i := range 30 * limit {
				quota, err := nodes[i%3].Take(t.Context(), "a", rate)
				if err != nil {
					t.Fatal(err)
				}
				if quota.Allowed {
					passed.add(time.Now())
				}
				if want := limit - 1 - i; i < limit {
					if !quota.Allowed || quota.Remaining != want {
						t.Errorf("call %d of %d: %+v, want %d remaining", i, limit, quota, want)
					}
					continue // all of them at once
				}
				time.Sleep(time.Duration(i%7) * time.Second)
			}
			if err := passed.check(rate, 0.0001); err != nil { // the answer is some milliseconds old
				t.Error(err)
			}
			if n := len(passed.times); n < limit+1 {
				t.Errorf("%d calls of a limit of %d passed", n, limit)
			}
		})
	}
}

// Other nodes miss only the calls that a node holds in advance, and only until these expire.
func TestSharedInAdvance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit, c := per(1000, time.Hour), newCentral(at(time.Millisecond))
		idle := c.node()
		for range 700 { // at a high rate
			if quota, err := idle.Take(t.Context(), "a", limit); err != nil || !quota.Allowed {
				t.Fatal(quota, err)
			}
		}
		synctest.Wait()
		time.Sleep(time.Second)
		if got := burst(t, c.node(), limit); got < 200 || got > 300 {
			t.Errorf("another node has %d calls, want the 300 that are left, but for 100 in advance", got)
		}
		if n := c.questions(); n > 40 {
			t.Errorf("%d requests for 1000 concurrent calls", n)
		}
		time.Sleep(limit.Window / 10)
		if got := burst(t, idle, limit); got > 101 {
			t.Errorf("%d calls passed a tenth of the window later, want those that came in since", got)
		}
	})
}

// At a steady rate no call waits, and there are about twenty requests per window.
func TestSharedSteadyUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit, c := per(1000, time.Minute), newCentral(at(10*time.Millisecond))
		node, waited := c.node(), 0
		use := func(calls int) {
			for range calls {
				began := time.Now()
				if quota, err := node.Take(t.Context(), "a", limit); err != nil || !quota.Allowed {
					t.Fatal(quota, err)
				}
				if time.Since(began) > 0 {
					waited++
				}
				time.Sleep(limit.Window / 900)
			}
		}
		use(450) // to find the rate
		waited = 0
		c.questions()
		use(900 * 10)
		if n := c.questions(); waited > 0 || n > 10*25 {
			t.Errorf("%d calls waited, %d requests in 10 windows", waited, n)
		}
	})
}

// Refused calls do not each ask the source.
func TestSharedOverload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit, c := per(60, time.Minute), newCentral(at(time.Millisecond))
		node, passed := c.node(), 0
		burst(t, node, limit)
		synctest.Wait()
		c.questions()
		for range 60_000 { // in a minute
			quota, err := node.Take(t.Context(), "a", limit)
			if err != nil {
				t.Fatal(err)
			}
			if quota.Allowed {
				passed++
			} else if quota.RetryAfter <= 0 || quota.RetryAfter > 2*time.Second {
				t.Fatalf("%+v", quota)
			}
			time.Sleep(time.Millisecond)
		}
		if n := c.questions(); passed < 55 || passed > 67 || n > 130 {
			t.Errorf("%d calls passed, want about 60; %d requests", passed, n)
		}
	})
}

var errAway = errors.New("away")

// Without answers a node uses up its granted calls, then returns the error, and later recovers.
func TestSharedOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit, c := per(1000, time.Minute), newCentral(at(time.Millisecond))
		node := c.node()
		for range 200 {
			if quota, err := node.Take(t.Context(), "a", limit); err != nil || !quota.Allowed {
				t.Fatal(quota, err)
			}
		}
		synctest.Wait()
		c.fail(errAway)
		c.questions()
		passed := 0
		var err error
		for err == nil {
			_, err = node.Take(t.Context(), "a", limit)
			passed++
		}
		if !errors.Is(err, errAway) || passed < 3 || passed > 101 {
			t.Errorf("%d calls passed, then %v", passed-1, err)
		}
		for range 100 {
			if _, err := node.Take(t.Context(), "a", limit); !errors.Is(err, errAway) {
				t.Error(err)
			}
		}
		if n := c.questions(); n > 4 {
			t.Errorf("%d concurrent requests to an unreachable source", n)
		}
		c.fail(nil)
		time.Sleep(100 * time.Millisecond)
		if quota, err := node.Take(t.Context(), "a", limit); err != nil || !quota.Allowed {
			t.Error("afterwards:", quota, err)
		}
		synctest.Wait()
		time.Sleep(time.Second)
	})
}

// A call that gives up while waiting leaves nothing behind, and others use the answer.
func TestSharedGivingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit, c := per(1, time.Hour), newCentral(at(time.Second))
		node := c.node()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := node.Take(ctx, "a", limit); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if quota, err := node.Take(t.Context(), "a", limit); err != nil || !quota.Allowed {
			t.Errorf("%+v, %v", quota, err)
		}
		if n := c.questions(); n != 1 {
			t.Errorf("%d questions", n)
		}
	})
}

func TestSharedChangedLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCentral(at(time.Millisecond))
		node := c.node()
		for _, limit := range []int{3, 5, 4} {
			if got := burst(t, node, per(limit, time.Minute)); got != limit {
				t.Errorf("%d calls passed, want %d", got, limit)
			}
		}
	})
}

// Concurrent calls share requests.
func TestSharedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit, c, passed := per(500, time.Hour), newCentral(at(time.Millisecond)), &passes{}
		node := c.node()
		var callers sync.WaitGroup
		for range 1000 {
			callers.Go(func() {
				if quota, err := node.Take(t.Context(), "a", limit); err == nil && quota.Allowed {
					passed.add(time.Now())
				}
			})
		}
		callers.Wait()
		if n, asked := len(passed.times), c.questions(); n != 500 || asked > 3 {
			t.Errorf("%d calls passed with %d requests", n, asked)
		}
	})
}

func TestSharedForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit, node := per(2, time.Second), newCentral(at(0)).node()
		for i := range 10_000 {
			if _, err := node.Take(t.Context(), fmt.Sprint(i), limit); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if n := node.Len(); n > 2048 {
			t.Errorf("%d subjects have an account, about ten of which are in use", n)
		}
	})
}
