//go:build full

package sqlstore_test

import (
	"fmt"
	"net/netip"
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

// Three nodes that all write the same notices at once write each of them once: no lease is needed for that, so none can
// fail at it.
func TestNodesWriteNoticesOnce(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Shared(t)
	url := cluster.Database(t)
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	var nodes []*sqlstore.DB
	for _, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, databasetest.OpenWith(t, sqlstore.Options{Path: url, Node: name, Serve: true, Now: now}))
	}
	const many, day = 200, 24 * time.Hour
	keys := make([]apikey.Key, many)
	for i := range keys {
		keys[i], _ = databasetest.Draft(t, fmt.Sprint("key ", i))
		keys[i].ExpiresAt = keys[i].CreatedAt.Add(40 * day)
		keys[i].Scopes, keys[i].Quota = apikey.Scopes{apikey.ScopeAdmin}, apikey.Quota{Limit: 1, Period: apikey.Day, StartsOn: 1}
		must(t, nodes[i%3].CreateKey(t.Context(), databasetest.Operator, keys[i]))
	}
	use := func(node *sqlstore.DB, network string) error {
		uses := make([]store.Use, many)
		for i, key := range keys {
			uses[i] = store.Use{Key: key.ID, Owner: key.Owner, Hour: now(), LastUsedAt: now(), Networks: []netip.Prefix{netip.MustParsePrefix(network)}}
		}
		return node.RecordUses(t.Context(), uses)
	}
	must(t, use(nodes[0], "192.0.2.0/24"))
	rules := store.NoticeRules{Thresholds: []time.Duration{7 * day, 30 * day}, AdminAge: 5 * day}
	until := time.Now().Add(day)
	for range 2 {
		ahead.Add(int64(15 * day))
		var all sync.WaitGroup
		for _, node := range nodes {
			all.Go(func() {
				for _, kind := range []store.NoticeKind{store.NoticeEnd, store.NoticeSecret} {
					if _, _, err := node.WriteNotices(t.Context(), kind, rules, store.NoticePlace{}); err != nil {
						t.Error(err)
					}
				}
			})
			all.Go(func() {
				for i := range keys[:20] {
					if err := node.RecordQuotaReached(t.Context(), store.Subject{Key: keys[i].ID}, until); err != nil {
						t.Error(err)
					}
				}
			})
			all.Go(func() {
				if err := use(node, "198.51.100.0/24"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	got := make(map[string]int)
	must(t, nodes[0].EachEvent(t.Context(), time.Time{}, func(e store.Event) error {
		if n, is := e.Changes.Get(apikey.NoticeField); is {
			got[e.Key.String()+" "+e.Action+" "+string(n.To)]++
			got[e.Action]++
		}
		return nil
	}))
	for what, n := range got {
		if strings.Contains(what, " ") && n != 1 {
			t.Errorf("%s was written %d times", what, n)
		}
	}
	for action, want := range map[string]int{
		store.ActionExpiring: many, store.ActionRotationDue: many, store.ActionNewNetwork: many, store.ActionQuota: 20,
	} {
		if got[action] != want {
			t.Errorf("%d events %s were written, want %d", got[action], action, want)
		}
	}
	reports, err := nodes[1].VerifyAudit(t.Context())
	must(t, err)
	for _, report := range reports {
		if len(report.Faults) > 0 {
			t.Errorf("chain %s: %v", report.Head.Chain, report.Faults)
		}
	}
}
