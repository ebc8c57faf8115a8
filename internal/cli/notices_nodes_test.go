//go:build full

package cli

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	postgrestest "apikeyd/internal/testkit/postgres"
)

// Three nodes on PostgreSQL, each of which is killed while keys end: each end is announced once, and a webhook hears of
// it.
func TestNoticesOfNodes(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t)
	url, dir, r := cluster.Database(t), t.TempDir(), newReceiver(t)
	start := func(name string) *server {
		s := serve(t, dir, "--node", name, "--admin-key-file", "admin.key", "--auth-failures-per-minute", "0", "--database", url,
			"--webhook-allow", "127.0.0.1", "--expiry-notices", "40s")
		s.env = []string{"APIKEYD_DATABASE=" + url}
		return s
	}
	names := []string{"a", "b", "c"}
	nodes := []*server{start("a"), start("b"), start("c")}
	r.subscribe(nodes[0])
	var ids []string
	began := time.Now()
	const keys = 60
	for i := range keys {
		life := 50*time.Second + time.Duration(i)*100*time.Millisecond
		ids = append(ids, nodes[i%3].want(http.StatusCreated, "POST", "/v1/api-keys", nodes[0].adminKey(), keyEndingIn(fmt.Sprint("key ", i), life)).ID)
	}
	heard := func(kind string) int { r.mu.Lock(); defer r.mu.Unlock(); return r.types[kind] }
	for round, name := range names { // before, while and after the first ones are due; the node that writes them is among these
		for time.Since(began) < time.Duration(5+5*round)*time.Second {
			time.Sleep(20 * time.Millisecond)
		}
		nodes[round].kill()
		nodes[round] = start(name)
	}
	for end := time.Now().Add(5 * patience); heard("api_key.expired") < keys; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d ends were heard of", heard("api_key.expired"), keys)
		}
	}
	export := nodes[0].command("audit", "export")
	got := written(t, export)
	for _, id := range ids {
		if got["expired "+id] != 1 || got["expiring "+id] != 1 {
			t.Errorf("key %s: %d expired, %d expiring", id, got["expired "+id], got["expiring "+id])
		}
	}
	nodes[0].command("audit", "verify", "--received", r.file(func(int) bool { return false }))
	t.Logf("%d keys, three kills: %d heard of as expiring, %d as expired", keys, heard("api_key.expiring"), heard("api_key.expired"))
	for _, s := range nodes {
		must(t, s.terminate())
	}
}
