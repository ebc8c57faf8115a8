//go:build unix

package sqlstore_test

import (
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
)

// BenchmarkFilters reads the first page of 20 of an admin's list, and how many keys match: of 100,000, one in a thousand.
// Of two entries of metadata, every key has the first. It reports processor time, which other work on the machine changes
// less, and how many times that of a list without a filter it is, whose number of keys is stored.
func BenchmarkFilters(b *testing.B) {
	db, path := openToBench(b)
	now := time.Now()
	_, err := databasetest.Raw(b, path).ExecContext(b.Context(), `INSERT INTO api_keys
			(id, owner, name, prefix, scopes, secret_hash, created_at, expires_at, metadata)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		SELECT unhex(printf('%032x', i)), 'acme', printf('key %d of %d', i, i % 1000), 'ak_12345678',
			printf('datasets:read datasets:write tenant:%d', i % 1000), randomblob(32), $2, $3,
			printf('{"customer":"%d","plan":"pro","region":"eu"}', i % 1000) FROM n`,
		100_000, now.AddDate(-1, 0, 0).UnixMilli(), now.AddDate(1, 0, 0).UnixMilli())
	if err != nil {
		b.Fatal(err)
	}
	customer, plan := apikey.MetadataEntry{Name: "customer", Value: "7"}, apikey.MetadataEntry{Name: "plan", Value: "pro"}
	var plain float64
	for _, bb := range []struct {
		name  string
		query store.Query
	}{
		{"none", store.Query{}},
		{"status", store.Query{Status: apikey.StatusActive, At: now}},
		{"name_contains", store.Query{NameContains: "of 7"}},
		{"search", store.Query{Search: "OF 7"}},
		{"scope", store.Query{Scope: "tenant:7"}},
		{"metadata", store.Query{Metadata: []apikey.MetadataEntry{customer}}},
		{"two of metadata", store.Query{Metadata: []apikey.MetadataEntry{plan, customer}}},
	} {
		bb.query.Limit = 20
		b.Run(bb.name, func(b *testing.B) {
			used := cpuTime(b)
			for b.Loop() {
				if page, err := db.Keys(b.Context(), bb.query); err != nil || len(page.Keys) != 20 {
					b.Fatal(len(page.Keys), err)
				}
			}
			took := float64(cpuTime(b)-used) / float64(b.N)
			if bb.query.IsPlain() {
				plain = took
			}
			b.ReportMetric(took/1e6, "cpu-ms")
			b.ReportMetric(took/plain, "times")
		})
	}
}
