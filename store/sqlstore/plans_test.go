// Internal, because the plans are those of the very queries that the store runs: no SQL has to
// be exported or repeated.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

func TestQueryPlans(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "keys.db"), Serve: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.RecordUses(t.Context(), []store.Use{{Hour: time.Unix(0, 0), Counts: store.Counts{1}}}); err != nil {
		t.Fatal(err)
	}
	find := func(ref store.Ref) func(querier) error {
		return func(q querier) error {
			_, err := findKey(t.Context(), q, ref, "")
			return err
		}
	}
	listWith := func(query store.Query, status statuses) func(querier) error {
		query.Limit = 20
		return func(q querier) error {
			if _, err := db.countKeys(t.Context(), q, query, status); err != nil {
				return err
			}
			_, _, err := db.listKeys(t.Context(), q, query, status, func(row) error { return nil })
			return err
		}
	}
	list := func(query store.Query) func(querier) error { return listWith(query, statuses{}) }
	walk := func(query store.Query) func(querier) error {
		query.Limit, query.After = 20, apikey.NewID()
		return func(q querier) error {
			_, _, err := db.list(t.Context(), q, query, func(row) error { return nil })
			return err
		}
	}
	ids := func(query store.Query) func(querier) error {
		query.Limit = 20
		return func(q querier) error {
			_, err := db.listIDs(t.Context(), q, query)
			return err
		}
	}
	events := func(query store.EventQuery) func(querier) error {
		query.Limit = 20
		return func(q querier) error {
			_, err := listEvents(t.Context(), q, query)
			return err
		}
	}
	summary := func(owner string) func(querier) error {
		return func(q querier) error {
			_, err := db.summarize(t.Context(), q, owner, time.Now(), statuses{})
			return err
		}
	}
	// Also under a million keys, a look at those that end soon reads no other.
	notices := func(kind store.NoticeKind) func(querier) error {
		return func(q querier) error {
			rules := store.NoticeRules{Thresholds: []time.Duration{30 * 24 * time.Hour}, AdminAge: time.Hour}
			_, _, err := lookForNotices(t.Context(), q, kind, rules, store.NoticePlace{}, time.Now())
			return err
		}
	}
	noticed := func(index, column string) []string {
		return []string{"SEARCH api_keys USING INDEX " + index + " ((" + column + ",id)>(?,?) AND " + column + "<?)" +
			"; CORRELATED SCALAR SUBQUERY 1; SEARCH owners USING PRIMARY KEY (owner=?)" +
			"; CORRELATED SCALAR SUBQUERY 2; SEARCH notices USING PRIMARY KEY (kind=? AND about=? AND subject=?)"}
	}
	const revoked = "SCAN api_keys USING COVERING INDEX api_keys_revoked_name"
	const suspended = "SCAN api_keys USING COVERING INDEX api_keys_suspended"
	narrow := store.Query{Owner: "acme", Status: apikey.StatusActive, At: time.Now(), NameContains: "ci",
		ExpiresBefore: time.Now(), LastUsedBefore: time.Now(), Rotating: new(bool)}
	const uses = "; CORRELATED SCALAR SUBQUERY 1; SEARCH key_uses USING PRIMARY KEY (id=?)" +
		"; CORRELATED SCALAR SUBQUERY 2; SEARCH owners USING PRIMARY KEY (owner=?)"
	const owners = "CO-ROUTINE one; SCAN owners USING INDEX owners_suspended; SCAN one"
	const page = "SEARCH api_keys USING PRIMARY KEY (id=?); LIST SUBQUERY "
	const merge = "MERGE (EXCEPT); LEFT; SCAN api_keys; RIGHT; SCAN key_uses"
	oneScheme := func(i int) string {
		return fmt.Sprintf("CO-ROUTINE scheme_%d; SEARCH foreign_secrets USING PRIMARY KEY (secret>? AND secret<?); SCAN scheme_%[1]d", i)
	}
	scanned := []string{"SCAN api_keys", "SCAN api_keys" + uses}
	merged := []string{"CO-ROUTINE matching; " + merge + "; SCAN matching", page + "4; " + merge + uses}
	type test struct {
		run  func(querier) error
		want []string
	}
	tests := map[string]test{
		"by id": {find(store.ByID(apikey.NewID())), []string{
			"SEARCH api_keys USING PRIMARY KEY (id<?)" + uses,
		}},
		"by foreign secrets": {func(q querier) error {
			_, _, err := findForeign(t.Context(), q, apikey.ForeignSecrets("a-foreign-secret", apikey.Schemes, []byte("pepper")))
			return err
		}, []string{"SEARCH foreign_secrets USING PRIMARY KEY (secret=?)"}},
		"schemes of foreign secrets": {func(q querier) error {
			return q.each(t.Context(), func(row) error { return nil }, someForeign, schemeBounds...)
		}, []string{"COMPOUND QUERY; LEFT-MOST SUBQUERY; " + oneScheme(0) + "; UNION ALL; " + oneScheme(1) + "; UNION ALL; " + oneScheme(2)}},
		"by name": {find(store.ByName("acme", "ci")), []string{
			"SEARCH api_keys USING INDEX api_keys_name (owner=? AND name=?)" + uses,
			"SEARCH api_keys USING INDEX api_keys_revoked_name (owner=? AND name=? AND revoked_at>?)" + uses,
		}},
		"ends of keys":   {notices(store.NoticeEnd), noticed("api_keys_expiry", "expires_at")},
		"ends of graces": {notices(store.NoticeGrace), noticed("api_keys_grace", "old_secret_until")},
		"old secrets":    {notices(store.NoticeSecret), noticed("api_keys_admin", "created_at")},
		"list of one owner": {list(store.Query{Owner: "acme"}), []string{
			"SEARCH key_counts USING PRIMARY KEY (owner=?)",
			"SEARCH api_keys USING INDEX api_keys_owner (owner=?)" + uses,
		}},
		"second page of one owner": {list(store.Query{Owner: "acme", Offset: 20}), []string{
			"SEARCH key_counts USING PRIMARY KEY (owner=?)",
			page + "3; SEARCH api_keys USING COVERING INDEX api_keys_owner (owner=?)" + uses,
		}},
		"ids of one owner": {ids(store.Query{Owner: "acme"}), []string{
			"SEARCH api_keys USING COVERING INDEX api_keys_owner (owner=?); " +
				"SCALAR SUBQUERY 1; SEARCH key_counts USING PRIMARY KEY (owner=?)",
		}},
		"ids of everybody": {ids(store.Query{}), []string{
			"SCAN api_keys; SCALAR SUBQUERY 1; SEARCH key_counts USING PRIMARY KEY (owner=?)",
		}},
		"ids of one owner, after one": {ids(store.Query{Owner: "acme", After: apikey.NewID()}), []string{
			"SEARCH api_keys USING COVERING INDEX api_keys_owner (owner=? AND id<?)",
		}},
		"ids of everybody, after one": {ids(store.Query{After: apikey.NewID()}), []string{
			"SEARCH api_keys USING PRIMARY KEY (id<?)",
		}},
		"events of everybody": {events(store.EventQuery{}), []string{"SCAN audit_events"}},
		"events before one": {events(store.EventQuery{Owner: "acme", Before: apikey.NewID()}), []string{
			"SEARCH audit_events USING PRIMARY KEY (id<?)",
		}},
		"events since then": {events(store.EventQuery{Action: store.ActionLeak, Since: time.Now()}), []string{
			"SEARCH audit_events USING PRIMARY KEY (id>?)",
		}},
		"events of one key": {events(store.EventQuery{Key: apikey.NewID()}), []string{
			"SEARCH audit_events USING INDEX audit_events_key (key_id=?)",
		}},
		"events of one key, since then and before one": {
			events(store.EventQuery{Key: apikey.NewID(), Since: time.Now(), Before: apikey.NewID()}), []string{
				"SEARCH audit_events USING INDEX audit_events_key (key_id=? AND id>? AND id<?)",
			}},
		"counts of one key": {
			func(q querier) error {
				_, err := countedUses(t.Context(), q, store.UsageQuery{
					Subject: store.Subject{Key: apikey.NewID()}, From: time.Unix(0, 0), To: time.Unix(1, 0), Interval: store.Hour,
				})
				return err
			}, []string{"SEARCH usage_hours USING PRIMARY KEY", "SEARCH usage_hours USING PRIMARY KEY (hour=? AND subject=?)"},
		},
		"summary of one owner": {summary("acme"), []string{
			"SEARCH key_counts USING PRIMARY KEY (owner=?)",
			"SEARCH api_keys USING COVERING INDEX api_keys_suspended (owner=? AND suspended>?)",
			"SEARCH api_keys USING COVERING INDEX api_keys_revoked_name (owner=?)",
			"SEARCH api_keys USING INDEX api_keys_owner (owner=?)",
		}},
		"summary of everybody": {summary(""), []string{
			"SEARCH key_counts USING PRIMARY KEY (owner=?)",
			suspended,
			revoked,
			"SCAN api_keys",
		}},
		"list of one owner, with every filter": {list(narrow), []string{
			"SEARCH api_keys USING INDEX api_keys_owner (owner=?); CORRELATED SCALAR SUBQUERY 1; " +
				"SEARCH key_uses USING PRIMARY KEY (id=?)",
			"SEARCH api_keys USING INDEX api_keys_owner (owner=?); CORRELATED SCALAR SUBQUERY 3; " +
				"SEARCH key_uses USING PRIMARY KEY (id=?)" + uses,
		}},
		// All owners: one scan of the keys in their order, and not of the index of names.
		"active keys":      {list(store.Query{Status: apikey.StatusActive, At: time.Now()}), scanned},
		"expired keys":     {list(store.Query{Status: apikey.StatusExpired, At: time.Now()}), scanned},
		"expiring keys":    {list(store.Query{Status: apikey.StatusActive, At: time.Now(), ExpiresBefore: time.Now()}), scanned},
		"rotating keys":    {list(store.Query{Rotating: new(true), At: time.Now()}), scanned},
		"other keys":       {list(store.Query{Rotating: new(false), At: time.Now()}), scanned},
		"keys by name":     {list(store.Query{NameContains: "ci", Status: apikey.StatusActive, At: time.Now()}), scanned},
		"keys by a scope":  {list(store.Query{Scope: "datasets:read", Status: apikey.StatusActive, At: time.Now()}), scanned},
		"keys by metadata": {list(store.Query{Metadata: []apikey.MetadataEntry{{Name: "plan", Value: "pro"}}, Status: apikey.StatusActive, At: time.Now()}), scanned},
		"keys by a search": {list(store.Query{Search: "Ключ_1", Status: apikey.StatusActive, At: time.Now()}), scanned},
		"active keys after one": {walk(store.Query{Status: apikey.StatusActive, At: time.Now()}), []string{
			owners,
			"SEARCH api_keys USING PRIMARY KEY (id<?)" + uses,
		}},
		"revoked keys after one": {walk(store.Query{Status: apikey.StatusRevoked}), []string{
			owners,
			"SEARCH api_keys USING PRIMARY KEY (id<?)" + uses,
		}},
		"one owner's keys after one": {walk(store.Query{Owner: "acme", Search: "ci"}), []string{
			"SEARCH api_keys USING INDEX api_keys_owner (owner=? AND id<?)" + uses,
		}},
		"unused keys after one": {walk(store.Query{LastUsedBefore: time.Now()}), []string{
			page + "4; MERGE (EXCEPT); LEFT; SEARCH api_keys USING PRIMARY KEY (id<?); " +
				"RIGHT; SEARCH key_uses USING PRIMARY KEY (id<?)" + uses,
		}},
		"revoked keys": {list(store.Query{Status: apikey.StatusRevoked}), []string{
			"CO-ROUTINE matching; COMPOUND QUERY; LEFT-MOST SUBQUERY; " + revoked + "; UNION ALL; " + suspended + "; SCAN matching", scanned[1],
		}},
		"suspended keys": {list(store.Query{Enabled: new(false)}), []string{
			suspended, scanned[1],
		}},
		"unused keys": {list(store.Query{LastUsedBefore: time.Now()}), merged},
		"unused keys that are active": {
			list(store.Query{Status: apikey.StatusActive, At: time.Now(), LastUsedBefore: time.Now()}), merged,
		},
	}
	// With a suspended owner, its keys are found by the index of names.
	barred := statuses{ofSuspended: true}
	for name, test := range map[string]test{
		"revoked keys, some by their owner": {listWith(store.Query{Status: apikey.StatusRevoked}, barred), []string{
			"CO-ROUTINE matching; COMPOUND QUERY; LEFT-MOST SUBQUERY; " + revoked + "; UNION ALL; " + suspended +
				"; UNION ALL; SEARCH api_keys USING INDEX api_keys_owner (owner=?); " +
				"LIST SUBQUERY 3; SCAN owners USING INDEX owners_suspended; SCAN matching",
			"SCAN api_keys; LIST SUBQUERY 3; SCAN owners USING INDEX owners_suspended; CREATE BLOOM FILTER" + uses,
		}},
		"active keys, without those of suspended owners": {
			listWith(store.Query{Status: apikey.StatusActive, At: time.Now()}, barred), []string{
				"SCAN api_keys; CORRELATED SCALAR SUBQUERY 1; SEARCH owners USING PRIMARY KEY (owner=?)",
				"SCAN api_keys; CORRELATED SCALAR SUBQUERY 3; SEARCH owners USING PRIMARY KEY (owner=?)" + uses,
			},
		},
	} {
		tests[name] = test
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := &planner{t: t, from: db.reader}
			if err := test.run(p); err != nil && !errors.Is(err, sql.ErrNoRows) {
				t.Fatal(err)
			}
			// One line each: an index, and no sorting.
			if diff := cmp.Diff(test.want, p.plans); diff != "" {
				t.Errorf("the plans differ (-want +got):\n%s", diff)
			}
		})
	}
}

// planner records SQLite's plan of each query, and then runs the query.
type planner struct {
	t     *testing.T
	from  pool
	plans []string
}

func (p *planner) each(ctx context.Context, do func(row) error, query string, args ...any) error {
	p.t.Helper()
	var steps []string
	err := p.from.each(ctx, func(r row) error {
		var id, parent, unused int
		var step string
		err := r.Scan(&id, &parent, &unused, &step)
		steps = append(steps, step)
		return err
	}, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.plans = append(p.plans, strings.Join(steps, "; "))
	return p.from.each(ctx, do, query, args...)
}
