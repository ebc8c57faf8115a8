package ratelimit_test

import (
	"math/big"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/ratelimit"
)

var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func per(limit int, window time.Duration) apikey.RateLimit {
	return apikey.RateLimit{Limit: limit, Window: window}
}

func TestTake(t *testing.T) {
	t.Parallel()
	limit := per(3, time.Minute) // one each 20 s
	table := ratelimit.New[string](0)
	for _, tt := range []struct {
		name string
		at   time.Duration
		want ratelimit.State
	}{
		{"the first of a burst", 0, ratelimit.State{Allowed: true, Remaining: 2, Reset: 20 * time.Second}},
		{"the second", 0, ratelimit.State{Allowed: true, Remaining: 1, Reset: 40 * time.Second}},
		{"the last", 0, ratelimit.State{Allowed: true, RetryAfter: 20 * time.Second, Reset: time.Minute}},
		{"one too many", 0, ratelimit.State{RetryAfter: 20 * time.Second, Reset: time.Minute}},
		{"a refused one uses nothing up", 0, ratelimit.State{RetryAfter: 20 * time.Second, Reset: time.Minute}},
		{"a moment too early", 20*time.Second - time.Microsecond,
			ratelimit.State{RetryAfter: time.Microsecond, Reset: 40*time.Second + time.Microsecond}},
		{"just in time", 20 * time.Second, ratelimit.State{Allowed: true, RetryAfter: 20 * time.Second, Reset: time.Minute}},
		{"after the window all are back", 80 * time.Second, ratelimit.State{Allowed: true, Remaining: 2, Reset: 20 * time.Second}},
		{"the clock goes back and nothing drains", 0, ratelimit.State{Allowed: true, Remaining: 1, Reset: 40 * time.Second}},
		{"it counts from there", 20 * time.Second, ratelimit.State{Allowed: true, Remaining: 1, Reset: 40 * time.Second}},
	} {
		if got := table.Take("a", limit, start.Add(tt.at)); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if got := table.Take("b", limit, start); !got.Allowed || got.Remaining != 2 {
		t.Errorf("another subject: %+v", got)
	}
	if got := table.Take("a", per(4, time.Minute), start.Add(20*time.Second)); got.Remaining != 3 {
		t.Errorf("a changed limit does not start with an empty bucket: %+v", got)
	}
}

// Calls that arrive out of order do not make time pass twice.
func TestLateCalls(t *testing.T) {
	t.Parallel()
	table, limit, passed := ratelimit.New[string](0), per(10, time.Second), 0
	for i := range 1000 {
		at := start
		if i%2 == 1 {
			at = start.Add(50 * time.Millisecond)
		}
		if table.Take("a", limit, at).Allowed {
			passed++
		}
	}
	if passed != 10 {
		t.Errorf("%d calls passed within 50 ms, want 10", passed)
	}
}

// FuzzExact compares a Table with the definition in rational numbers.
func FuzzExact(f *testing.F) {
	f.Add(uint32(7), uint32(1), uint64(1))
	f.Add(uint32(1_000_000), uint32(86_400), uint64(2))
	f.Add(uint32(3), uint32(86_400), uint64(3))
	f.Fuzz(func(t *testing.T, calls, seconds uint32, seed uint64) {
		limit := per(1+int(calls%1_000_000), time.Duration(1+seconds%86_400)*time.Second)
		table := ratelimit.New[string](0)
		random := rand.New(rand.NewPCG(seed, 0))
		now := start
		fill, last := new(big.Rat), now // in calls
		perMicrosecond := big.NewRat(int64(limit.Limit), limit.Window.Microseconds())
		for range 200 {
			now = now.Add(time.Duration(random.Int64N(3*limit.Window.Microseconds()/int64(limit.Limit)+2)) * time.Microsecond)
			drained := new(big.Rat).Mul(perMicrosecond, big.NewRat(now.Sub(last).Microseconds(), 1))
			if fill.Sub(fill, drained); fill.Sign() < 0 {
				fill.SetInt64(0)
			}
			last = now
			filled := new(big.Rat).Add(fill, big.NewRat(1, 1))
			want := filled.Cmp(big.NewRat(int64(limit.Limit), 1)) <= 0
			if want {
				fill = filled
			}
			if got := table.Take("a", limit, now); got.Allowed != want {
				t.Fatalf("%+v at a level of %s: %+v, want %t", limit, fill.FloatString(9), got, want)
			}
		}
	})
}

func TestConcurrentTakes(t *testing.T) {
	t.Parallel()
	table := ratelimit.New[int](0)
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 100 {
				if table.Take(1, per(500, time.Hour), start).Allowed {
					allowed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if allowed.Load() != 500 {
		t.Errorf("%d of 1600 calls passed, want 500", allowed.Load())
	}
}

// Subjects are dropped once that makes no difference, and not before.
func TestForgetting(t *testing.T) {
	t.Parallel()
	table := ratelimit.New[int](0)
	limit := per(2, time.Minute)
	const many = 10_000
	for i := range many {
		table.Take(i, limit, start)
	}
	for i := range many {
		if got := table.Take(i, limit, start); got.Remaining != 0 {
			t.Fatalf("subject %d was forgotten too early: %+v", i, got)
		}
	}
	for i := range many {
		table.Take(-i, limit, start.Add(time.Hour+time.Duration(i)*time.Minute))
	}
	if n := table.Len(); n > 2048 {
		t.Errorf("%d subjects have a bucket, one of which is not empty", n)
	}
}

func TestMaximum(t *testing.T) {
	t.Parallel()
	table := ratelimit.New[int](100)
	for i := range 10_000 {
		if !table.Take(i, per(1, time.Hour), start).Allowed {
			t.Errorf("subject %d is new, and refused", i)
		}
		if n := table.Len(); n > 100 {
			t.Fatalf("%d subjects have a bucket, want at most 100", n)
		}
	}
}
