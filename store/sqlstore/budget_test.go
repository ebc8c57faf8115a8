//go:build full

package sqlstore_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// budgetOn is the budget of a fresh database, with a way to run SQL there.
type budgetOn struct {
	*testing.T
	store.Budget
	sql func(command string) string
}

func newBudget(t *testing.T, cluster *postgrestest.Cluster, parameters ...string) *budgetOn {
	t.Helper()
	url := cluster.Database(t)
	path := strings.Join(append([]string{url}, parameters...), "&")
	db := databasetest.OpenWith(t, sqlstore.Options{Path: path, Node: "one", Serve: true})
	return &budgetOn{t, db.Budget(), func(command string) string { return cluster.SQL(t, url, command) }}
}

func (b *budgetOn) want(what string, id apikey.ID, limit apikey.RateLimit, calls, want int) (level int64) {
	b.Helper()
	got, err := b.TakeCalls(b.Context(), store.Subject{Key: id}, limit, calls)
	if err != nil || got.Calls != want {
		b.Errorf("%s: %d of %d calls and %v, want %d", what, got.Calls, calls, err, want)
	}
	return got.Level
}

// passes moves all budgets back in time.
func (b *budgetOn) passes(d time.Duration) {
	b.Helper()
	b.sql("UPDATE rate_budgets SET at = at - " + strconv.FormatInt(d.Microseconds(), 10))
}

func TestBudget(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Shared(t)
	for name, b := range map[string]*budgetOn{
		"a server":           newBudget(t, cluster),
		"a pooler before it": newBudget(t, cluster, "default_query_exec_mode=simple_protocol"),
	} {
		t.Run(name, func(t *testing.T) {
			b.T = t
			testBudget(b)
		})
	}
}

func testBudget(b *budgetOn) {
	limit, one, two := apikey.RateLimit{Limit: 100, Window: time.Hour}, apikey.NewID(), apikey.NewID()
	b.want("the first", one, limit, 1, 1)
	b.want("some more", one, limit, 59, 59)
	if level, want := b.want("what there is", one, limit, 50, 40), 100*time.Hour.Microseconds(); level > want ||
		level < want-100*time.Minute.Microseconds() {
		b.Errorf("the level is %d, want about %d", level, want)
	}
	b.want("nothing", one, limit, 7, 0)
	b.want("another key", two, limit, 1000, 100)
	b.passes(18 * time.Minute)
	b.want("after a while", one, limit, 100, 30)
	b.passes(time.Hour)
	b.want("after a window", one, limit, 200, 100)
	b.passes(30 * 365 * 24 * time.Hour)
	b.want("after many years", one, limit, 200, 100)
	b.passes(-20 * time.Second)
	b.want("while the clock is a little behind", one, limit, 1, 0)
	b.passes(-24 * time.Hour)
	b.want("the clock was set back, and nothing drained", one, limit, 1, 0)
	b.passes(36 * time.Second)
	b.want("it counts from there", one, limit, 2, 1)
	limit.Limit = 200
	b.want("another limit begins anew", one, limit, 1000, 200)
	limit.Window /= 2
	b.want("another window too", one, limit, 1000, 200)
	most := apikey.RateLimit{Limit: 1_000_000, Window: 24 * time.Hour}
	b.want("the largest", two, most, 2_000_000, 1_000_000)
	b.passes(30 * 365 * 24 * time.Hour)
	b.want("the largest after many years", two, most, 1, 1)
}

// Calls wait neither for a standby that is away nor for a slow disk.
func TestBudgetWaitsForNobody(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t)
	b := newBudget(t, cluster)
	cluster.WithoutStandby(t)
	id, limit := apikey.NewID(), apikey.RateLimit{Limit: 2, Window: time.Hour}
	b.want("a new row", id, limit, 1, 1)
	b.want("a row that is there", id, limit, 1, 1)
}

// Rows of full budgets are removed, and no others.
func TestBudgetsAreRemoved(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Shared(t)
	b := newBudget(t, cluster)
	b.sql(`INSERT INTO rate_budgets SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), 1, 1000000, 0, 1000000, 1
		FROM generate_series(1, 5000) AS n`)
	b.sql(`INSERT INTO rate_budgets SELECT decode(lpad(to_hex(n), 32, '1'), 'hex'), 1, 3600000000,
		extract(epoch FROM now()) * 1000000, 3600000000, 1 FROM generate_series(1, 3) AS n`)
	b.want("the first call removes them", apikey.NewID(), apikey.RateLimit{Limit: 1, Window: time.Hour}, 1, 1)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		rows := b.sql("SELECT count(*) FROM rate_budgets")
		if rows == "4" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s rows are left, want the 4 that count", rows)
		}
	}
}

// Many nodes at once do not get more than the limit.
func TestBudgetUnderLoad(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Shared(t)
	url := cluster.Database(t)
	limit, id := apikey.RateLimit{Limit: 500, Window: time.Second}, apikey.NewID()
	var granted atomic.Int64
	var load sync.WaitGroup
	began := time.Now()
	for _, node := range []string{"a", "b", "c"} {
		budget := databasetest.OpenWith(t, sqlstore.Options{Path: url, Node: node, Serve: true}).Budget()
		if node == "a" {
			began = time.Now()
		}
		for range 4 {
			load.Go(func() {
				for range 300 {
					grant, err := budget.TakeCalls(context.Background(), store.Subject{Key: id}, limit, 3)
					if err != nil && !errors.Is(err, store.ErrUnavailable) { // a busy machine may take a second
						t.Error(err)
					}
					granted.Add(int64(grant.Calls))
				}
			})
		}
	}
	load.Wait()
	passed := time.Since(began)
	if most := 500 + int64(500*passed.Seconds()) + 1; granted.Load() > most {
		t.Errorf("%d calls in %s, want at most %d", granted.Load(), passed, most)
	}
	if granted.Load() < 500 {
		t.Errorf("%d calls, want at least 500", granted.Load())
	}
}

// A server that is gone, or does not answer, is unavailable within a second.
func TestBudgetOutage(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, "fsync=off")
	b := newBudget(t, cluster)
	id, limit := apikey.NewID(), apikey.RateLimit{Limit: 2, Window: time.Hour}
	b.want("at first", id, limit, 1, 1)
	b.sql("CREATE TABLE durable ()") // with everything before it: the last moments may be lost
	cluster.Kill()
	if _, err := b.TakeCalls(t.Context(), store.Subject{Key: id}, limit, 1); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without a server: %v", err)
	}
	cluster.Run(t, "fsync=off")
	b.want("afterwards, what is left", id, limit, 2, 1)
}

// BenchmarkTakeCalls measures one call, with one budget and with many.
func BenchmarkTakeCalls(b *testing.B) {
	cluster := postgrestest.Shared(b)
	db, err := sqlstore.Open(b.Context(), sqlstore.Options{Path: cluster.Database(b), Node: "one", Serve: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }() // it is discarded
	budget, limit := db.Budget(), apikey.RateLimit{Limit: 1_000_000, Window: time.Second}
	for _, bb := range []struct {
		name string
		keys int
	}{{"one key", 1}, {"10000 keys", 10_000}} {
		b.Run(bb.name, func(b *testing.B) {
			ids := make([]apikey.ID, bb.keys)
			for i := range ids {
				ids[i] = apikey.NewID()
			}
			var next atomic.Int64
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := budget.TakeCalls(context.Background(), store.Subject{Key: ids[next.Add(1)%int64(len(ids))]}, limit, 1); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
