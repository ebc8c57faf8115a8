package quota_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apikeyd/apikey"
	"apikeyd/internal/quota"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
)

var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// clock is advanced by tests.
type clock struct{ nanoseconds atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanoseconds.Store(start.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.nanoseconds.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }

// counted counts the questions to a store.
type counted struct {
	store.Quotas
	taken atomic.Int64
}

func (c *counted) TakeUnits(ctx context.Context, s store.Subject, limit int, start time.Time, units int) (store.Used, error) {
	c.taken.Add(1)
	return c.Quotas.TakeUnits(ctx, s, limit, start, units)
}

func TestTake(t *testing.T) {
	t.Parallel()
	c := newClock()
	table := quota.New(databasetest.Open(t, databasetest.NewPath(t)), c.now)
	subject := store.Subject{Key: apikey.NewID()}
	daily := apikey.Quota{Limit: 5, Period: apikey.Day, StartsOn: 1}
	midnight := start.Add(12 * time.Hour)
	take := func(what string, q apikey.Quota, units int, want quota.State) quota.State {
		t.Helper()
		got, err := table.Take(t.Context(), subject, q, units)
		if err != nil || !cmp.Equal(got, want, cmpopts.IgnoreUnexported(quota.State{})) {
			t.Errorf("%s: %+v, %v; want %+v", what, got, err, want)
		}
		return got
	}
	take("a free call", daily, 0, quota.State{Allowed: true, Remaining: 5, ResetsAt: midnight})
	take("the first", daily, 1, quota.State{Allowed: true, Remaining: 4, ResetsAt: midnight})
	take("a costly one", daily, 3, quota.State{Allowed: true, Remaining: 1, ResetsAt: midnight})
	take("too costly", daily, 2, quota.State{Remaining: 1, ResetsAt: midnight})
	take("a cheaper one passes at once", daily, 1, quota.State{Allowed: true, ResetsAt: midnight})
	last := take("free calls still pass", daily, 0, quota.State{Allowed: true, ResetsAt: midnight})
	table.Return(subject, daily, 1, last)
	take("what was given back", daily, 1, quota.State{Allowed: true, ResetsAt: midnight})
	c.advance(time.Second)
	take("nothing is left", daily, 1, quota.State{ResetsAt: midnight})
	higher := apikey.Quota{Limit: 6, Period: apikey.Month, StartsOn: 1}
	take("another quota keeps what was used", higher, 1, quota.State{Allowed: true, ResetsAt: midnight.AddDate(0, 0, 1)})
	c.advance(12 * time.Hour)
	take("a new day", daily, 4, quota.State{Allowed: true, Remaining: 1, ResetsAt: midnight.AddDate(0, 0, 1)})
	table.Return(subject, daily, 1, last) // of the day before
	take("the rest of it", daily, 1, quota.State{Allowed: true, ResetsAt: midnight.AddDate(0, 0, 1)})
	take("nothing is left of it", daily, 1, quota.State{ResetsAt: midnight.AddDate(0, 0, 1)})
}

// A subject that calls often is rarely asked for, and a node holds at most a hundredth of its limit, which it
// gives back when the calls end.
func TestAdvance(t *testing.T) {
	t.Parallel()
	c, db := newClock(), &counted{Quotas: databasetest.Open(t, databasetest.NewPath(t))}
	table := quota.New(db, c.now)
	subject := store.Subject{Owner: "acme"}
	monthly := apikey.Quota{Limit: 1_000_000, Period: apikey.Month, StartsOn: 1}
	const calls = 50_000
	for range calls {
		if got, err := table.Take(t.Context(), subject, monthly, 1); err != nil || !got.Allowed {
			t.Fatal(got, err)
		}
		c.advance(100 * time.Microsecond)
	}
	if taken := db.taken.Load(); taken > 50 {
		t.Errorf("the store was asked %d times for %d calls", taken, calls)
	}
	if err := table.Flush(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	since := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	used, err := db.UsedUnits(t.Context(), subject, since)
	if held := used - calls; err != nil || held < 1 || held > monthly.Limit/100 {
		t.Errorf("the node holds %d, %v", held, err)
	}
	if err := table.Flush(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if used, err := db.UsedUnits(t.Context(), subject, since); err != nil || used != calls {
		t.Errorf("after the end %d are used, %v; want %d", used, err, calls)
	}
}

// In each of many periods, nodes that crash at random moments never grant more than the limit, and lose at most
// what they hold.
func TestNeverMore(t *testing.T) {
	t.Parallel()
	neverMore(t, databasetest.Open(t, databasetest.NewPath(t)), 21)
}

func neverMore(t *testing.T, db store.Quotas, periods int) {
	t.Helper()
	c := newClock()
	var unused []int
	for period := range periods {
		random := rand.New(rand.NewPCG(uint64(period), 1))
		daily := apikey.Quota{Limit: []int{7, 100, 2000}[period%3], Period: apikey.Day, StartsOn: 1}
		subject := store.Subject{Key: apikey.NewID()}
		if period%2 == 1 {
			subject = store.Subject{Owner: "acme"}
		}
		var granted, lost atomic.Int64
		var nodes sync.WaitGroup
		for range 3 {
			seed := random.Uint64()
			nodes.Go(func() {
				random := rand.New(rand.NewPCG(seed, 2))
				table := quota.New(db, c.now)
				for refused := 0; refused < 3; {
					units := 1 + random.IntN(3)
					got, err := table.Take(t.Context(), subject, daily, units)
					switch {
					case err != nil:
						t.Error(err)
						return
					case got.Allowed:
						granted.Add(int64(units))
					default:
						refused++
						c.advance(50 * time.Millisecond)
					}
					if random.IntN(200) == 0 { // a crash
						lost.Add(int64(daily.Limit/100 + 3))
						table = quota.New(db, c.now)
					}
					c.advance(time.Duration(random.IntN(int(time.Millisecond))))
				}
				if err := table.Flush(t.Context(), 0); err != nil {
					t.Error(err)
				}
			})
		}
		nodes.Wait()
		left := daily.Limit - int(granted.Load())
		if left < 0 {
			t.Errorf("period %d: %d of %d units were granted", period, granted.Load(), daily.Limit)
		}
		if most := 3*(daily.Limit/100+3) + int(lost.Load()); left > most {
			t.Errorf("period %d: %d of %d units were not granted, want at most %d", period, left, daily.Limit, most)
		}
		unused = append(unused, left)
		c.advance(24 * time.Hour)
	}
	slices.Sort(unused)
	t.Logf("units left over in %d periods, sorted: %v", periods, unused)
}

// failing is a store whose outcome is unknown.
type failing struct {
	store.Quotas
	err atomic.Pointer[error]
}

func (f *failing) TakeUnits(ctx context.Context, s store.Subject, limit int, start time.Time, units int) (store.Used, error) {
	if err := f.err.Load(); err != nil {
		return store.Used{}, *err
	}
	return f.Quotas.TakeUnits(ctx, s, limit, start, units)
}

// Nothing passes that the store did not grant.
func TestOutage(t *testing.T) {
	t.Parallel()
	c, db := newClock(), &failing{Quotas: databasetest.Open(t, databasetest.NewPath(t))}
	table := quota.New(db, c.now)
	subject, daily := store.Subject{Owner: "acme"}, apikey.Quota{Limit: 10, Period: apikey.Day, StartsOn: 1}
	away := store.ErrUnavailable
	db.err.Store(&away)
	if got, err := table.Take(t.Context(), subject, daily, 1); !errors.Is(err, store.ErrUnavailable) || got.Allowed {
		t.Errorf("%+v, %v", got, err)
	}
	db.err.Store(nil)
	c.advance(time.Second)
	if got, err := table.Take(t.Context(), subject, daily, 1); err != nil || !got.Allowed || got.Remaining != 9 {
		t.Errorf("afterwards: %+v, %v", got, err)
	}
}
