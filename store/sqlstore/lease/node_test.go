//go:build full

package lease

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"apikeyd/apikey"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store/postgres"
)

const (
	// longLease neither ends nor is renewed while a test runs: a change that settles was acknowledged, and an
	// acknowledged one was heard.
	longLease  = time.Hour
	shortLease = 500 * time.Millisecond
	// slack is what a busy machine may need beyond a lease.
	slack = 5 * time.Second
)

func TestNodes(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Shared(t)
	for name, test := range map[string]func(*testing.T, *nodeDatabase){
		"all have applied what is settled": testSettled,
		"large changes":                    testLargeChanges,
		"a node that is cut off":           testCutOff,
		"a node that is killed":            testKilled,
		"a node that leaves":               testLeaves,
		"a command without a node":         testCommand,
		"two of one name":                  testSameName,
		"what was missed":                  testMissed,
		"a node that comes back in time":   testBackInTime,
		"news under way":                   testUnderWay,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newNodeDatabase(t, cluster))
		})
	}
}

// Three nodes change keys at once, and each change is applied on all nodes when it is settled.
func testSettled(t *testing.T, d *nodeDatabase) {
	var all []*member
	for i := range 3 {
		all = append(all, d.join(t, fmt.Sprintf("node%d", i), Options{Caches: true, Length: longLease}))
	}
	var writers sync.WaitGroup
	for i, m := range all {
		for range 3 {
			writers.Go(func() {
				for range 100 {
					keys := newKeys(1+rand.IntN(3), all...)
					m.change(t, Change{Keys: keys})
					for j, other := range all {
						for _, id := range keys {
							if _, remembers := other.memory.uses(id); remembers {
								t.Errorf("node %d remembers what a settled change of node %d changed", j, i)
							}
						}
					}
				}
			})
		}
	}
	writers.Wait()
	for i, m := range all {
		if m.memory.forgotten() > 0 {
			t.Errorf("node %d missed a notification, and forgot everything", i)
		}
	}
}

func testLargeChanges(t *testing.T, d *nodeDatabase) {
	a := d.join(t, "a", Options{Caches: true, Length: longLease})
	b := d.join(t, "b", Options{Caches: true, Length: longLease})
	for _, n := range []int{0, 1, maxNotified, maxNotified + 1, 2 * maxNotified, 5000} {
		keys, kept := newKeys(n, a, b), newKeys(1, a, b)
		a.change(t, Change{Keys: keys})
		for _, id := range keys {
			if _, remembers := b.memory.uses(id); remembers {
				t.Fatalf("of %d keys one is remembered", n)
			}
		}
		if _, remembers := b.memory.uses(kept[0]); !remembers {
			t.Errorf("%d keys took another one with them", n)
		}
	}
	keys := newKeys(1, a, b)
	a.change(t, Change{All: true})
	for _, m := range []*member{a, b} {
		if _, remembers := m.memory.uses(keys[0]); remembers {
			t.Error("any key may have changed, and one is remembered")
		}
	}
}

// Whatever happens to the connection of a node, and when: nobody uses what an answered
// change invalidated, and no answer takes longer than a lease.
func testCutOff(t *testing.T, d *nodeDatabase) {
	p := newProxy(t, d.Address)
	a := d.join(t, "a", Options{Caches: true, Length: shortLease})
	b := d.join(t, "b", Options{Caches: true, Length: shortLease, Config: configOf(t, d.through(p))})
	rounds := 16
	if testing.Short() {
		rounds = 6
	}
	var longest time.Duration
	trusted := 0 // rounds in which the node trusted its cache when the change began
	for round := range rounds {
		eventually(t, "b is back", b.memory.trusts)
		keys := newKeys(1, a, b)
		cut := []func(){p.shut, p.silence}[round%2]
		time.Sleep(rand.N(shortLease / 2))
		var during sync.WaitGroup
		during.Go(func() {
			time.Sleep(rand.N(2 * time.Millisecond))
			cut()
		})
		time.Sleep(rand.N(2 * time.Millisecond))
		if b.memory.trusts() {
			trusted++
		}
		took := a.change(t, Change{Keys: keys})
		if uses, _ := b.memory.uses(keys[0]); uses {
			t.Errorf("round %d: what a settled change made wrong is used", round)
		}
		during.Wait()
		// Now it is certainly cut off, and does not hear of the next change.
		keys = newKeys(1, a, b)
		took = max(took, a.change(t, Change{Keys: keys}))
		if uses, _ := b.memory.uses(keys[0]); uses {
			t.Errorf("round %d: a node that is cut off uses what a settled change made wrong", round)
		}
		if took > shortLease+slack {
			t.Errorf("round %d: settled after %v", round, took)
		}
		longest = max(longest, took)
		p.restore()
	}
	t.Logf("%d rounds, in %d the node trusted its memory; settled after at most %v of a lease of %v",
		rounds, trusted, longest, shortLease)
}

// A change waits once for a node that was killed; then the node is removed.
func testKilled(t *testing.T, d *nodeDatabase) {
	p := newProxy(t, d.Address)
	a := d.join(t, "a", Options{Caches: true, Length: shortLease})
	const lease = 10 * shortLease // so that the row is still there when the test looks for it
	b := d.join(t, "b", Options{Caches: true, Length: lease, Config: configOf(t, d.through(p))})
	p.shut()
	b.Close()
	nodes := func() string { return d.sql(t, `SELECT string_agg(name, ' ' ORDER BY name) FROM nodes`) }
	if got := nodes(); got != "a b" {
		t.Errorf("nodes: %q", got)
	}
	keys := newKeys(1, a, b)
	if took := a.change(t, Change{Keys: keys}); took > lease+slack {
		t.Errorf("settled after %v", took)
	}
	eventually(t, "the row of the dead node goes", func() bool { return nodes() == "a" })
}

func testLeaves(t *testing.T, d *nodeDatabase) {
	a := d.join(t, "a", Options{Caches: true, Length: longLease})
	b := d.join(t, "b", Options{Caches: true, Length: longLease})
	keys := newKeys(1, b)
	b.Close()
	if b.memory.trusts() {
		t.Error("a node that left trusts what it remembers")
	}
	a.change(t, Change{Keys: keys}) // returns without waiting for anybody
}

// A process without a cache also waits until its changes are applied.
func testCommand(t *testing.T, d *nodeDatabase) {
	b := d.join(t, "b", Options{Caches: true, Length: longLease})
	command := d.join(t, "command", Options{Length: longLease})
	for range 10 {
		keys := newKeys(1, b)
		command.change(t, Change{Keys: keys})
		if _, remembers := b.memory.uses(keys[0]); remembers {
			t.Error("what a command changed is remembered")
		}
	}
	if got := d.sql(t, `SELECT string_agg(name, ' ') FROM nodes`); got != "b" {
		t.Errorf("nodes: %q", got)
	}
}

// Of two processes with one name, neither acknowledges for the other.
func testSameName(t *testing.T, d *nodeDatabase) {
	p := newProxy(t, d.Address)
	writer := d.join(t, "writer", Options{Caches: true, Length: shortLease})
	hears := d.join(t, "twin", Options{Caches: true, Length: shortLease})
	deaf := d.join(t, "twin", Options{Caches: true, Length: shortLease, Config: configOf(t, d.through(p))})
	p.silence()
	keys := newKeys(1, hears, deaf)
	writer.change(t, Change{Keys: keys})
	for _, m := range []*member{hears, deaf} {
		if uses, _ := m.memory.uses(keys[0]); uses {
			t.Error("what a settled change made wrong is used")
		}
	}
}

// A node that missed notifications drops its whole cache; one that missed none keeps it.
func testMissed(t *testing.T, d *nodeDatabase) {
	p := newProxy(t, d.Address)
	a := d.join(t, "a", Options{Caches: true, Length: shortLease})
	b := d.join(t, "b", Options{Caches: true, Length: shortLease, Config: configOf(t, d.through(p))})
	a.change(t, Change{Keys: newKeys(1)})
	for _, miss := range []bool{false, true} {
		keys, before := newKeys(1, b), b.memory.forgotten()
		p.shut()
		eventually(t, "trust runs out", func() bool { return !b.memory.trusts() })
		if miss {
			a.change(t, Change{Keys: keys})
		}
		p.restore()
		eventually(t, "b is back", b.memory.trusts)
		if got := b.memory.forgotten() > before; got != miss {
			t.Errorf("something was missed: %v; all was forgotten: %v", miss, got)
		}
		if _, remembers := b.memory.uses(keys[0]); remembers == miss {
			t.Errorf("something was missed: %v; the key is remembered: %v", miss, remembers)
		}
	}
}

// A node that missed a change, and reconnects while its lease lasts, acknowledges what
// its renewal found.
func testBackInTime(t *testing.T, d *nodeDatabase) {
	p := newProxy(t, d.Address)
	a := d.join(t, "a", Options{Caches: true, Length: longLease})
	b := d.join(t, "b", Options{Caches: true, Length: longLease, Config: configOf(t, d.through(p))})
	p.shut()
	keys := newKeys(1, b)
	time.AfterFunc(100*time.Millisecond, p.restore)
	a.change(t, Change{Keys: keys})
	if _, remembers := b.memory.uses(keys[0]); remembers {
		t.Error("what a settled change changed is remembered")
	}
}

// A renewal that reads a head before it hears of the change waits for that, and keeps the rest of its cache.
func testUnderWay(t *testing.T, d *nodeDatabase) {
	config := configOf(t, d.url)
	m := &memory{keys: make(map[apikey.ID]bool)}
	s := &session{Node: &Node{
		options: Options{Config: config, Caches: true, Length: time.Minute}, id: "b", owed: make(map[string]int64),
	}}
	s.Watch(m)
	var err error
	s.conn, err = postgres.Connect(t.Context(), config, func(_ *pgconn.PgConn, news *pgconn.Notification) {
		s.inbox = append(s.inbox, news)
	})
	must(t, err)
	defer s.disconnect()
	must(t, s.listen())
	keys := newIDs(2)
	m.remember(keys)
	change := Change{Chain: "a", From: 1, To: 1, Event: apikey.NewID(), Keys: keys[:1]}
	heads := map[string]head{change.Chain: {change.To, change.Event}}
	must(t, s.catchUp(heads, 0))
	if !s.lacks(heads) {
		t.Error("a change is applied before it is heard")
	}
	var sent sync.WaitGroup
	sent.Go(func() {
		d.sql(t, `SELECT pg_notify('`+changesChannel+`', '`+change.notifications("a")[0]+`')`)
	})
	must(t, s.catchUp(heads, time.Minute))
	sent.Wait()
	if s.reach(nil, heads) != nil {
		t.Error("a change that was waited for is missed")
	}
	for i, id := range keys {
		if _, remembers := m.uses(id); remembers != (i == 1) {
			t.Errorf("key %d is remembered: %t", i, remembers)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
