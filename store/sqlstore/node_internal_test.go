package sqlstore

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/postgrestest"
)

const (
	// A lease that does not end while a test runs: what returns was acknowledged.
	longLease  = 3 * time.Minute
	shortLease = 500 * time.Millisecond
	// slack is what a busy machine may need beyond a lease.
	slack = 5 * time.Second
)

func TestNodes(t *testing.T) {
	cluster := postgrestest.Start(t, "fsync=off")
	for name, test := range map[string]func(*testing.T, *nodeDatabase){
		"all have applied what is settled": testSettled,
		"large changes":                    testLargeChanges,
		"a node that is cut off":           testCutOff,
		"a node that is killed":            testKilled,
		"a node that leaves":               testLeaves,
		"a command without a node":         testCommand,
		"two of one name":                  testSameName,
		"what was missed":                  testMissed,
	} {
		t.Run(name, func(t *testing.T) { test(t, newNodeDatabase(t, cluster)) })
	}
}

// Three nodes change keys at once, and each change is applied on all when it is settled.
func testSettled(t *testing.T, d *nodeDatabase) {
	var all []*member
	for i := range 3 {
		all = append(all, d.join(t, fmt.Sprintf("node%d", i), nodeOptions{remember: true, lease: longLease}))
	}
	var writers sync.WaitGroup
	for i, m := range all {
		for range 3 {
			writers.Go(func() {
				for range 100 {
					keys := newKeys(1+rand.IntN(3), all...)
					m.change(t, change{keys: keys})
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
		if n := m.memory.forgotten(); n > 0 {
			t.Logf("node %d forgot everything %d times", i, n) // a renewal was faster than notifications
		}
	}
}

func testLargeChanges(t *testing.T, d *nodeDatabase) {
	a := d.join(t, "a", nodeOptions{remember: true, lease: longLease})
	b := d.join(t, "b", nodeOptions{remember: true, lease: longLease})
	for _, n := range []int{0, 1, maxNotified, maxNotified + 1, 2 * maxNotified, 5000} {
		keys, kept := newKeys(n, a, b), newKeys(1, a, b)
		a.change(t, change{keys: keys})
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
	a.change(t, change{all: true})
	for _, m := range []*member{a, b} {
		if _, remembers := m.memory.uses(keys[0]); remembers {
			t.Error("any key may have changed, and one is remembered")
		}
	}
}

// Whatever happens to the connection of a node, and when: nobody uses what an answered
// change made wrong, and no answer takes longer than a lease.
func testCutOff(t *testing.T, d *nodeDatabase) {
	p := newProxy(t, d.Address)
	a := d.join(t, "a", nodeOptions{remember: true, lease: shortLease})
	b := d.join(t, "b", nodeOptions{remember: true, lease: shortLease, url: d.through(p)})
	rounds := 24
	if testing.Short() {
		rounds = 6
	}
	var longest time.Duration
	trusted := 0 // rounds in which the node trusted what it remembered when the change began
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
		took := a.change(t, change{keys: keys})
		if uses, _ := b.memory.uses(keys[0]); uses {
			t.Errorf("round %d: what a settled change made wrong is used", round)
		}
		during.Wait()
		// Now it is cut for sure, and does not know of the next one.
		keys = newKeys(1, a, b)
		took = max(took, a.change(t, change{keys: keys}))
		if uses, _ := b.memory.uses(keys[0]); uses {
			t.Errorf("round %d: a node that is cut off uses what a settled change made wrong", round)
		}
		if took > shortLease+slack {
			t.Errorf("round %d: settled after %v", round, took)
		}
		longest = max(longest, took)
		p.mend()
	}
	t.Logf("%d rounds, in %d the node trusted its memory; settled after at most %v of a lease of %v",
		rounds, trusted, longest, shortLease)
}

// A node that ends without a word is waited for once, and then removed.
func testKilled(t *testing.T, d *nodeDatabase) {
	p := newProxy(t, d.Address)
	a := d.join(t, "a", nodeOptions{remember: true, lease: shortLease})
	b := d.join(t, "b", nodeOptions{remember: true, lease: 2 * shortLease, url: d.through(p)})
	p.shut()
	b.close()
	nodes := func() string { return d.sql(t, `SELECT string_agg(name, ' ' ORDER BY name) FROM nodes`) }
	if got := nodes(); got != "a b" {
		t.Errorf("nodes: %q", got)
	}
	keys := newKeys(1, a, b)
	if took := a.change(t, change{keys: keys}); took > 2*shortLease+slack {
		t.Errorf("settled after %v", took)
	}
	eventually(t, "the row of the dead node goes", func() bool { return nodes() == "a" })
}

func testLeaves(t *testing.T, d *nodeDatabase) {
	a := d.join(t, "a", nodeOptions{remember: true, lease: longLease})
	b := d.join(t, "b", nodeOptions{remember: true, lease: longLease})
	keys := newKeys(1, b)
	b.close()
	if b.memory.trusts() {
		t.Error("a node that left trusts what it remembers")
	}
	a.change(t, change{keys: keys}) // returns: nobody is waited for
}

// A process that remembers nothing is told when its changes are applied.
func testCommand(t *testing.T, d *nodeDatabase) {
	b := d.join(t, "b", nodeOptions{remember: true, lease: longLease})
	command := d.join(t, "command", nodeOptions{lease: longLease})
	for range 10 {
		keys := newKeys(1, b)
		command.change(t, change{keys: keys})
		if _, remembers := b.memory.uses(keys[0]); remembers {
			t.Error("what a command changed is remembered")
		}
	}
	if got := d.sql(t, `SELECT string_agg(name, ' ') FROM nodes`); got != "b" {
		t.Errorf("nodes: %q", got)
	}
}

// Of two processes with one name neither speaks for the other.
func testSameName(t *testing.T, d *nodeDatabase) {
	p := newProxy(t, d.Address)
	writer := d.join(t, "writer", nodeOptions{remember: true, lease: shortLease})
	hears := d.join(t, "twin", nodeOptions{remember: true, lease: shortLease})
	deaf := d.join(t, "twin", nodeOptions{remember: true, lease: shortLease, url: d.through(p)})
	p.silence()
	keys := newKeys(1, hears, deaf)
	writer.change(t, change{keys: keys})
	for _, m := range []*member{hears, deaf} {
		if uses, _ := m.memory.uses(keys[0]); uses {
			t.Error("what a settled change made wrong is used")
		}
	}
}

// A node that missed notifications forgets everything, one that missed none forgets nothing.
func testMissed(t *testing.T, d *nodeDatabase) {
	p := newProxy(t, d.Address)
	a := d.join(t, "a", nodeOptions{remember: true, lease: shortLease})
	b := d.join(t, "b", nodeOptions{remember: true, lease: shortLease, url: d.through(p)})
	a.change(t, change{keys: newKeys(1)})
	for _, miss := range []bool{false, true} {
		keys, before := newKeys(1, b), b.memory.forgotten()
		p.shut()
		eventually(t, "trust runs out", func() bool { return !b.memory.trusts() })
		if miss {
			a.change(t, change{keys: keys})
		}
		p.mend()
		eventually(t, "b is back", b.memory.trusts)
		if got := b.memory.forgotten() > before; got != miss {
			t.Errorf("something was missed: %v; all was forgotten: %v", miss, got)
		}
		if _, remembers := b.memory.uses(keys[0]); remembers == miss {
			t.Errorf("something was missed: %v; the key is remembered: %v", miss, remembers)
		}
	}
}

// The database ends right after a commit: what other nodes remember counts no more when
// the change is settled. All go on when it is back.
func TestNodesAndDatabaseLost(t *testing.T) {
	cluster := postgrestest.Start(t)
	d := newNodeDatabase(t, cluster)
	a := d.join(t, "a", nodeOptions{remember: true, lease: shortLease})
	b := d.join(t, "b", nodeOptions{remember: true, lease: shortLease})
	for range 3 {
		keys := newKeys(1, a, b)
		c, err := a.commit(change{keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		cluster.Kill()
		began := time.Now()
		c.settle(a.pool)
		if took := time.Since(began); took > shortLease+slack {
			t.Errorf("settled after %v", took)
		}
		for _, m := range []*member{a, b} {
			if uses, _ := m.memory.uses(keys[0]); uses {
				t.Error("what a settled change made wrong is used")
			}
		}
		cluster.Run(t)
		for _, m := range []*member{a, b} {
			eventually(t, "a node is back", m.memory.trusts)
			if _, remembers := m.memory.uses(keys[0]); remembers {
				t.Error("a node that is back remembers what changed")
			}
		}
	}
}

// The primary is lost and its synchronous standby promoted: all go on, and nothing that was
// settled before or is settled afterwards is forgotten.
func TestNodesFailover(t *testing.T) {
	primary := postgrestest.Start(t, "synchronous_standby_names=standby")
	standby := primary.Standby(t, "standby")
	d := newNodeDatabase(t, primary)
	d.url = strings.Replace(d.url, primary.Address, primary.Address+","+standby.Address, 1) +
		"&target_session_attrs=read-write"
	a := d.join(t, "a", nodeOptions{remember: true, lease: shortLease})
	b := d.join(t, "b", nodeOptions{remember: true, lease: shortLease})
	a.change(t, change{keys: newKeys(1, a, b)})
	keys := newKeys(1, a, b)
	c, err := a.commit(change{keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	primary.Kill()
	c.settle(a.pool)
	standby.Promote(t)
	for _, m := range []*member{a, b} {
		eventually(t, "a node is back", m.memory.trusts)
		if _, remembers := m.memory.uses(keys[0]); remembers {
			t.Error("what was settled before the failover is remembered after it")
		}
	}
	for range 20 {
		keys := newKeys(1, a, b)
		a.change(t, change{keys: keys})
		if uses, _ := b.memory.uses(keys[0]); uses {
			t.Error("what was settled after the failover is used")
		}
	}
}

// A primary whose synchronous standby does not answer gives no lease.
func TestNodesWithoutStandby(t *testing.T) {
	cluster := postgrestest.Start(t)
	d := newNodeDatabase(t, cluster)
	d.sql(t, `ALTER SYSTEM SET synchronous_standby_names = 'nobody'`)
	d.sql(t, `SELECT pg_reload_conf()`)
	n, err := startNode(t.Context(), nodeOptions{url: d.url, remember: true, lease: shortLease})
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	m := &memory{keys: make(map[apikey.ID]bool)}
	n.watch(m)
	for began := time.Now(); time.Since(began) < 3*shortLease; time.Sleep(time.Millisecond) {
		if m.trusts() {
			t.Fatal("it trusts what it remembers, by a lease that no standby has")
		}
	}
	d.sql(t, `ALTER SYSTEM RESET synchronous_standby_names`)
	d.sql(t, `SELECT pg_reload_conf()`)
	eventually(t, "it has a lease", m.trusts)
}

// A database that lacks what was applied is another one.
func TestAppliedReach(t *testing.T) {
	e1, e2 := apikey.NewID(), apikey.NewID()
	for name, test := range map[string]struct {
		before, heads map[string]head
		forgets       bool
	}{
		"nothing at all":     {nil, nil, false},
		"nothing new":        {map[string]head{"a": {3, e1}}, map[string]head{"a": {3, e1}}, false},
		"a change":           {map[string]head{"a": {3, e1}}, map[string]head{"a": {4, e2}}, true},
		"a chain":            {map[string]head{"a": {3, e1}}, map[string]head{"a": {3, e1}, "b": {1, e2}}, true},
		"an empty chain":     {map[string]head{"a": {3, e1}}, map[string]head{"a": {3, e1}, "b": {}}, false},
		"a change less":      {map[string]head{"a": {3, e1}}, map[string]head{"a": {2, e2}}, true},
		"a change replaced":  {map[string]head{"a": {3, e1}}, map[string]head{"a": {3, e2}}, true},
		"a chain that is no": {map[string]head{"a": {3, e1}}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{keys: make(map[apikey.ID]bool)}
			a := applied{heads: test.before, watcher: m}
			moved := a.reach(a.known(), test.heads)
			if got := m.forgotten() > 0; got != test.forgets || got != (len(moved) > 0) {
				t.Errorf("forgot: %v; moved: %v", got, moved)
			}
			if a.reach(a.known(), test.heads) != nil {
				t.Error("the second time there is something new too")
			}
		})
	}
}

// What a writer made meanwhile is ahead of heads that were read before.
func TestAppliedAhead(t *testing.T) {
	var a applied
	a.made(change{chain: "a", from: 1, to: 3})
	before := a.known()
	a.made(change{chain: "a", from: 4, to: 5})
	if moved := a.reach(before, map[string]head{"a": {seq: 3}}); moved != nil {
		t.Errorf("moved: %v", moved)
	}
	if got := a.known()["a"].seq; got != 5 {
		t.Errorf("applied %d", got)
	}
}

func TestAppliedHear(t *testing.T) {
	id := apikey.NewID()
	part := func(from, to int64) change { return change{chain: "a", from: from, to: to, keys: []apikey.ID{id}} }
	for name, test := range map[string]struct {
		heard   []change
		more    bool
		forgets bool
		keeps   bool
		applied int64
	}{
		"the next":      {heard: []change{part(6, 7)}, applied: 7},
		"one again":     {heard: []change{part(4, 5)}, keeps: true, applied: 5},
		"after a gap":   {heard: []change{part(7, 8)}, forgets: true, applied: 8},
		"a part":        {heard: []change{part(6, 8)}, more: true, applied: 5},
		"partly known":  {heard: []change{part(4, 6)}, applied: 6},
		"one, then two": {heard: []change{part(6, 6), part(7, 8)}, applied: 8},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{keys: map[apikey.ID]bool{id: true}}
			a := applied{heads: map[string]head{"a": {seq: 5}}, watcher: m}
			for _, c := range test.heard {
				a.hear(c, test.more)
			}
			if got := m.forgotten() > 0; got != test.forgets {
				t.Errorf("forgot everything: %v", got)
			}
			if _, got := m.uses(id); got != test.keeps {
				t.Errorf("remembers the key: %v", got)
			}
			if got := a.known()["a"].seq; got != test.applied {
				t.Errorf("applied %d, not %d", got, test.applied)
			}
		})
	}
}

// A silence begins when it is first seen, and ends with a renewal, whatever its number.
func TestPeers(t *testing.T) {
	var p peers
	start := time.Now()
	for i, step := range []struct{ renewals, after, since int }{
		{7, 0, 0}, {7, 1, 0}, {8, 2, 2}, {8, 3, 2}, {7, 4, 4}, {8, 5, 5}, {0, 6, 0}, {8, 7, 7},
	} {
		at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
		live := make(map[string]peer)
		if step.renewals > 0 {
			live["a"] = peer{renewals: int64(step.renewals), lease: time.Second}
		}
		got := p.see(live, at(step.after))
		if step.renewals > 0 && !got["a"].since.Equal(at(step.since)) {
			t.Errorf("step %d: silent since %v, not %v", i, got["a"].since.Sub(start), step.since)
		}
	}
}

// No payload is larger than PostgreSQL takes, and together they say all.
func TestNotifications(t *testing.T) {
	for _, n := range []int{0, 1, maxNotified, maxNotified + 1, 3*maxNotified + 7} {
		c := change{chain: strings.Repeat("\x01", 255), from: 1 << 62, to: 1<<62 + int64(n), event: apikey.NewID(), keys: newKeys(n)}
		var keys []apikey.ID
		payloads := c.notifications(apikey.NewID().String())
		for i, payload := range payloads {
			if len(payload) >= 8000 {
				t.Errorf("%d keys: a payload of %d bytes", n, len(payload))
			}
			got, ok := decode[notification](payload)
			if !ok || got.More != (i < len(payloads)-1) {
				t.Errorf("%d keys: part %d of %d: %v", n, i, len(payloads), got)
			}
			back := got.change()
			keys = append(keys, back.keys...)
			if back.chain != c.chain || back.from != c.from || back.to != c.to || back.event != c.event || back.all {
				t.Errorf("%d keys: %v", n, back)
			}
		}
		if fmt.Sprint(keys) != fmt.Sprint(c.keys) {
			t.Errorf("%d keys came as %d", n, len(keys))
		}
	}
}
