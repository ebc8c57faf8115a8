//go:build full

package sqlstore_test

import (
	"testing"
	"time"

	databasetest "apikeyd/internal/testkit/database"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store/sqlstore"
)

// One of several nodes delivers. Another one follows at once if it ends in order, else when nobody has heard of it for a
// while.
func TestOneNodeDelivers(t *testing.T) {
	t.Parallel()
	url := postgrestest.Shared(t).Database(t)
	var nodes []*sqlstore.DB
	for _, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, databasetest.OpenWith(t, sqlstore.Options{Path: url, Node: name, Serve: true}))
	}
	holders := func() (held []int) {
		for i, node := range nodes {
			until, err := node.HoldWebhooks(t.Context())
			must(t, err)
			if time.Now().Before(until) {
				held = append(held, i)
			}
		}
		return held
	}
	first := holders()
	if len(first) != 1 {
		t.Fatalf("nodes %v deliver", first)
	}
	for range 5 { // longer than a turn lasts without a renewal
		time.Sleep(2500 * time.Millisecond)
		if got := holders(); len(got) != 1 || got[0] != first[0] {
			t.Fatalf("nodes %v deliver, want %v", got, first)
		}
	}
	must(t, nodes[first[0]].ReleaseWebhooks(t.Context()))
	nodes[first[0]], nodes[2] = nodes[2], nodes[first[0]] // the released one is asked last
	second := holders()
	if len(second) != 1 || second[0] == 2 {
		t.Fatalf("after a release nodes %v deliver", second)
	}
	silent := nodes[second[0]] // from now on, as if killed
	nodes = append(nodes[:second[0]:second[0]], nodes[second[0]+1:]...)
	last, err := silent.HoldWebhooks(t.Context())
	must(t, err)
	for began := time.Now(); ; time.Sleep(250 * time.Millisecond) {
		got := holders()
		if len(got) > 0 && time.Now().Before(last) {
			t.Fatal("two nodes deliver")
		}
		if len(got) == 1 {
			break
		}
		if time.Since(began) > 40*time.Second {
			t.Fatal("nobody follows a silent node")
		}
	}
	if until, err := silent.HoldWebhooks(t.Context()); err != nil || time.Now().Before(until) {
		t.Errorf("a node that was silent delivers until %s, %v", until, err)
	}
}
