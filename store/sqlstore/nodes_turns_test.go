//go:build full

package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// slowCommits make each commit take 5 ms longer.
var slowCommits = []string{"commit_delay=5000", "commit_siblings=0"}

// nodesOf opens a database on three nodes, and returns a key with every right, which acts on all of them.
func nodesOf(t testing.TB, url string) (nodes []*sqlstore.DB, acting store.Actor) {
	t.Helper()
	for _, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, databasetest.OpenWith(t, sqlstore.Options{Path: url, Node: name, Serve: true}))
	}
	return nodes, newActor(t, nodes[0])
}

func newActor(t testing.TB, db *sqlstore.DB) store.Actor {
	t.Helper()
	key, secret := databasetest.Draft(t, apikey.NewID().String()+" acts")
	key.Scopes = apikey.Scopes{apikey.ScopeAdmin}
	must(t, db.CreateKey(t.Context(), databasetest.Operator, key))
	return store.Actor{Key: key.ID, Secret: secret.Hash(), Via: "test"}
}

// create creates a key that nobody else creates.
func create(ctx context.Context, t testing.TB, db *sqlstore.DB, actor store.Actor) error {
	key, _ := databasetest.Draft(t, apikey.NewID().String()+" made")
	return db.CreateKey(ctx, actor, key)
}

// No node waits until another one's transaction has ended, although one key creates keys of one owner on all of them:
// while no commit ends, every node's transaction gets as far as its commit.
func TestNodesCommitAtOnce(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t)
	url := cluster.Database(t)
	nodes, acting := nodesOf(t, url)
	cluster.WithoutStandby(t)
	created := make(chan error)
	for _, node := range nodes {
		go func() { created <- create(t.Context(), t, node, acting) }()
	}
	const inCommit = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT'"
	eventually(t, func() bool { return cluster.SQL(t, "postgres", inCommit) == fmt.Sprint(len(nodes)) })
	cluster.Standalone(t)
	for range nodes {
		must(t, <-created)
	}
	for _, node := range nodes {
		page, err := node.Keys(t.Context(), store.Query{Owner: "acme", Limit: 1})
		must(t, err)
		if page.Total != 1+len(nodes) {
			t.Errorf("%d keys are counted, want %d", page.Total, 1+len(nodes))
		}
	}
	if got := cluster.SQL(t, url, "SELECT string_agg(owner || ':' || chain || ':' || keys, ' ' ORDER BY owner, chain) FROM key_counts"); got !=
		":a:2 :b:1 :c:1 :main:0 acme:a:2 acme:b:1 acme:c:1" {
		t.Errorf("key_counts has %s", got)
	}
}

// While three nodes create keys as fast as they can, no session ever waits for a row or for another transaction.
func TestNodesWaitForNoRow(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, slowCommits...)
	nodes, acting := nodesOf(t, cluster.Database(t))
	stop := createAll(t, nodes, acting)
	const samples = 200
	for range samples {
		waits := cluster.SQL(t, "postgres", `SELECT DISTINCT locktype, mode FROM pg_locks
			WHERE NOT granted AND locktype IN ('transactionid', 'tuple', 'advisory', 'virtualxid', 'relation')`)
		if waits != "" {
			t.Errorf("a session waits for a lock: %s", waits)
			break
		}
	}
	if made := stop(); slices.Min(made) == 0 {
		t.Errorf("the nodes created %v keys", made)
	}
}

// createAll creates keys on nodes with some callers each, until stop, which returns how many each has created.
func createAll(t testing.TB, nodes []*sqlstore.DB, acting store.Actor) (stop func() []int64) {
	const callers = 8
	ctx, cancel := context.WithCancel(t.Context())
	made := make([]atomic.Int64, len(nodes))
	var running sync.WaitGroup
	for i, node := range nodes {
		for range callers {
			running.Go(func() {
				for {
					err := create(ctx, t, node, acting)
					if ctx.Err() != nil {
						return
					}
					if err != nil {
						t.Errorf("node %d: %v", i, err)
						return
					}
					made[i].Add(1)
				}
			})
		}
	}
	return func() []int64 {
		cancel()
		running.Wait()
		counts := make([]int64, len(made))
		for i := range made {
			counts[i] = made[i].Load()
		}
		return counts
	}
}

// A key that never stops creating keys on two nodes can be revoked on the third, and nothing that it does is committed
// after that.
func TestBusyActorIsRevoked(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Start(t, slowCommits...)
	nodes, acting := nodesOf(t, cluster.Database(t))
	const callers = 8
	var busy sync.WaitGroup
	begun := make(chan struct{}, 2*callers)
	for i := range 2 * callers {
		busy.Go(func() {
			for n := 0; ; n++ {
				err := create(t.Context(), t, nodes[i%2], acting)
				if errors.Is(err, store.ErrActorGone) {
					return
				}
				if err != nil {
					t.Errorf("node %d: %v", i%2, err)
					return
				}
				if n == 0 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range 2 * callers {
		<-begun
	}
	_, err := nodes[2].RevokeKey(t.Context(), databasetest.Operator, store.ByID(acting.Key), apikey.ReasonUnspecified)
	must(t, err)
	events := func() int {
		page, err := nodes[2].Keys(t.Context(), store.Query{Owner: "acme", Limit: 1})
		must(t, err)
		return page.Total
	}
	before := events()
	busy.Wait()
	if after := events(); after != before {
		t.Errorf("%d keys were created after their creator's revocation", after-before)
	}
}

// A key that changes itself on several nodes at once, each of which has read it, fails on none of them.
func TestActorChangesItselfOnAllNodes(t *testing.T) {
	t.Parallel()
	nodes, acting := nodesOf(t, postgrestest.Shared(t).Database(t))
	for round := range 5 {
		var all sync.WaitGroup
		for i, node := range nodes {
			all.Go(func() {
				metadata := apikey.Metadata{"round": fmt.Sprint(round), "node": fmt.Sprint(i)}
				_, err := node.UpdateKey(t.Context(), acting, store.ByID(acting.Key), apikey.Change{Metadata: &metadata})
				if err != nil {
					t.Errorf("round %d, node %d: %v", round, i, err)
				}
			})
		}
		all.Wait()
	}
}

// The counts of a database from before each chain had its own are kept, and grow.
func TestCountsOfAllAreKept(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Shared(t)
	url := cluster.Database(t)
	open := func(name string) *sqlstore.DB {
		db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: url, Node: name, Serve: true})
		must(t, err)
		return db
	}
	db := open("a")
	databasetest.CreateMany(t, db, "old", 3)
	must(t, db.Close())
	cluster.SQL(t, url, `DROP TABLE key_counts;
		CREATE TABLE key_counts (owner TEXT COLLATE "C" NOT NULL PRIMARY KEY, keys BIGINT NOT NULL) WITH (fillfactor = 50);
		INSERT INTO key_counts SELECT owner, count(*) FROM api_keys GROUP BY owner UNION ALL SELECT '', count(*) FROM api_keys;
		ALTER TABLE api_keys DROP COLUMN suspended, DROP COLUMN revocation_reason, DROP COLUMN quota_limit,
			DROP COLUMN quota_period, DROP COLUMN quota_starts_on, DROP COLUMN allowed_cidrs, DROP COLUMN observe_cidrs,
			DROP COLUMN foreign_secret, DROP COLUMN rotated_at;
		DROP TABLE notices;
		DROP INDEX api_keys_expiry, api_keys_grace, api_keys_admin;
		DROP TABLE foreign_secrets, session_keys, owner_links;
		DROP TABLE quota_uses, usage_hours, usage_days, key_seen;
		ALTER TABLE key_uses DROP COLUMN last_used_from;
		DROP TABLE owners;
		DROP TABLE webhooks, webhook_cursors, webhook_deliveries, webhook_turn;
		DELETE FROM apikeyd_schema WHERE version_id >= 5`)
	for i, name := range []string{"a", "main", "b"} {
		db := open(name)
		databasetest.Create(t, db, "new "+name)
		for _, owner := range []string{"", "acme"} {
			page, err := db.Keys(t.Context(), store.Query{Owner: owner, Limit: 1})
			must(t, err)
			if page.Total != 4+i {
				t.Errorf("node %s counts %d keys of %q, want %d", name, page.Total, owner, 4+i)
			}
		}
		must(t, db.Close())
	}
}

// BenchmarkNodes measures creations on one, two and three nodes of a database whose commits take 5 ms, in turns.
func BenchmarkNodes(b *testing.B) {
	cluster := postgrestest.Start(b, slowCommits...)
	nodes, acting := nodesOf(b, cluster.Database(b))
	const each = time.Second
	rates := make([][]float64, len(nodes))
	for b.Loop() {
		for n := range nodes {
			stop := createAll(b, nodes[:n+1], acting)
			time.Sleep(each)
			total := int64(0)
			for _, made := range stop() {
				total += made
			}
			rates[n] = append(rates[n], float64(total)/each.Seconds())
		}
	}
	for n := range nodes {
		slices.Sort(rates[n])
		median := rates[n][len(rates[n])/2]
		b.ReportMetric(median, fmt.Sprintf("creations/s-%d", n+1))
		b.ReportMetric(median/rates[0][len(rates[0])/2], fmt.Sprintf("of-one-%d", n+1))
	}
	b.ReportMetric(0, "ns/op")
}
