package logging_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"apikeyd/internal/telemetry/logging"
)

func TestLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a, b atomic.Int64
		l := logging.NewLimiter(3, func(kind string, held int) {
			map[string]*atomic.Int64{"a": &a, "b": &b}[kind].Add(int64(held))
		})
		pass := func(kind string, times, want int) {
			t.Helper()
			passed := 0
			for range times {
				if l.Pass(kind) {
					passed++
				}
			}
			if passed != want {
				t.Errorf("%d of %d pass, want %d", passed, times, want)
			}
		}
		pass("a", 10, 3)
		pass("b", 2, 2) // kinds do not share
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		pass("a", 1, 0)
		if a.Load() != 0 {
			t.Error("it reports before the second is over")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if a.Load() != 8 || b.Load() != 0 {
			t.Errorf("it reports %d of a and %d of b, want 8 of a", a.Load(), b.Load())
		}
		pass("a", 5, 3) // a new second
		pass("b", 5, 3)
		time.Sleep(time.Minute)
		synctest.Wait()
		if a.Load() != 10 || b.Load() != 2 {
			t.Errorf("it reports %d of a and %d of b, want 10 and 2", a.Load(), b.Load())
		}
	})
}

// Concurrent calls lose no event.
func TestLimiterTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var passed, held atomic.Int64
		l := logging.NewLimiter(5, func(_ string, n int) { held.Add(int64(n)) })
		const callers, calls = 8, 1000
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for range calls {
					if l.Pass("a") {
						passed.Add(1)
					}
				}
			})
		}
		all.Wait()
		time.Sleep(20 * time.Second) // instantly, in the bubble
		synctest.Wait()
		if passed.Load()+held.Load() != callers*calls {
			t.Errorf("%d passed and %d are reported, of %d", passed.Load(), held.Load(), callers*calls)
		}
	})
}
