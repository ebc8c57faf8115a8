//go:build full

package lease

import (
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	postgrestest "apikeyd/internal/testkit/postgres"
)

// The database stops right after a commit: when the change is settled, no node trusts its cache. All continue when
// the database is back.
func TestNodesAndDatabaseLost(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t)
	d := newNodeDatabase(t, cluster)
	a := d.join(t, "a", Options{Caches: true, Length: shortLease})
	b := d.join(t, "b", Options{Caches: true, Length: shortLease})
	for range 3 {
		keys := newKeys(1, a, b)
		c, err := a.commit(Change{Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		cluster.Kill()
		began := time.Now()
		c.Settle(a.pool)
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

// The primary is lost and its synchronous standby promoted: all nodes continue, and no change that was settled
// before or afterwards is lost.
func TestNodesFailover(t *testing.T) {
	t.Parallel()
	primary := postgrestest.Start(t, "synchronous_standby_names=standby")
	standby := primary.Standby(t, "standby")
	d := newNodeDatabase(t, primary)
	d.url = strings.Replace(d.url, primary.Address, primary.Address+","+standby.Address, 1) +
		"&target_session_attrs=read-write"
	a := d.join(t, "a", Options{Caches: true, Length: shortLease})
	b := d.join(t, "b", Options{Caches: true, Length: shortLease})
	a.change(t, Change{Keys: newKeys(1, a, b)})
	keys := newKeys(1, a, b)
	c, err := a.commit(Change{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	primary.Kill()
	c.Settle(a.pool)
	standby.Promote(t)
	for _, m := range []*member{a, b} {
		eventually(t, "a node is back", m.memory.trusts)
		if _, remembers := m.memory.uses(keys[0]); remembers {
			t.Error("what was settled before the failover is remembered after it")
		}
	}
	for range 20 {
		keys := newKeys(1, a, b)
		a.change(t, Change{Keys: keys})
		if uses, _ := b.memory.uses(keys[0]); uses {
			t.Error("what was settled after the failover is used")
		}
	}
}

// A primary whose synchronous standby does not answer grants no lease.
func TestNodesWithoutStandby(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t)
	d := newNodeDatabase(t, cluster)
	cluster.WithoutStandby(t)
	n, err := Join(t.Context(), Options{Config: configOf(t, d.url), Caches: true, Length: shortLease})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	m := &memory{keys: make(map[apikey.ID]bool)}
	n.Watch(m)
	for began := time.Now(); time.Since(began) < 3*shortLease; time.Sleep(time.Millisecond) {
		if m.trusts() {
			t.Fatal("it trusts what it remembers, by a lease that no standby has")
		}
	}
	cluster.Standalone(t)
	eventually(t, "it has a lease", m.trusts)
}
