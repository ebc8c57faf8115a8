//go:build unix

package sqlstore_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// BenchmarkUsageHour writes what an hour brings in which a million keys of a thousand owners are used twice each, in
// random order: 360 batches of ten seconds. It reports the writer's share of a core in that hour, the longest time
// that a change could wait for one transaction, the share that it takes to make days of the hour, and what a row of
// each table takes on disk. One round takes minutes.
func BenchmarkUsageHour(b *testing.B) {
	const keys, batches = 1_000_000, 360
	path := filepath.Join(b.TempDir(), "keys.db")
	ids := millionKeys(b, path, keys)
	db, err := sqlstore.Open(b.Context(), sqlstore.Options{Path: path, Serve: true})
	if err != nil {
		b.Fatal(err)
	}
	hour := time.Now().Truncate(store.Hour)
	for b.Loop() {
		hour = hour.Add(store.Hour)
		order := append(rand.Perm(keys), rand.Perm(keys)...)
		used, longest := cpuTime(b), time.Duration(0)
		for batch := range slices.Chunk(order, len(order)/batches) {
			slices.Sort(batch) // as the cache does
			for some := range slices.Chunk(batch, store.UsesAtOnce) {
				uses := make([]store.Use, 0, len(some))
				for _, i := range some {
					from := netip.AddrFrom4([4]byte{203, 0, byte(i % 250), 7})
					uses = append(uses, store.Use{
						Key: ids[i], Owner: fmt.Sprint("customer-", i%1000), Hour: hour, Counts: store.Counts{1},
						LastUsedAt: hour.Add(time.Duration(i)), LastUsedFrom: from,
						Scopes: []string{"datasets:read"}, Networks: []netip.Prefix{store.NetworkOf(from)},
					})
				}
				began := time.Now()
				if err := db.RecordUses(b.Context(), uses); err != nil {
					b.Fatal(err)
				}
				longest = max(longest, time.Since(began))
			}
		}
		b.ReportMetric(100*(cpuTime(b)-used).Seconds()/store.Hour.Seconds(), "%-of-a-core")
		b.ReportMetric(float64(longest.Milliseconds()), "ms-longest")
	}
	bytesPerRow(b, path, "key_uses", "usage_hours", "key_seen")
	used := cpuTime(b)
	for range b.N {
		if _, err := db.PruneUsage(b.Context(), store.Retention{Hours: hour.Add(store.Hour)}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(100*(cpuTime(b)-used).Seconds()/float64(b.N)/store.Hour.Seconds(), "%-for-days")
	bytesPerRow(b, path, "usage_days")
	b.ReportMetric(0, "ns/op")
	if err := db.Close(); err != nil {
		b.Error(err)
	}
}

// cpuTime returns what this process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// millionKeys makes a database with copies of one key, and returns their ids in order.
func millionKeys(b *testing.B, path string, n int) []apikey.ID {
	b.Helper()
	db := databasetest.Open(b, path)
	model := databasetest.Create(b, db, "model")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	columns := strings.Split(sqlstore.StoredColumns(), ", ")
	from := strings.Join(columns, ", ")
	from = strings.Replace(strings.Replace(from, "name", "hex($1)", 1), "id", "$1", 1)
	raw := databasetest.Raw(b, path)
	databasetest.Execute(b, raw, `BEGIN`)
	defer databasetest.Execute(b, raw, `COMMIT`)
	insert, err := raw.PrepareContext(b.Context(), `INSERT INTO api_keys (`+strings.Join(columns, ", ")+`) SELECT `+from+` FROM api_keys WHERE id = $2`)
	if err != nil {
		b.Fatal(err)
	}
	defer insert.Close()
	ids := make([]apikey.ID, n)
	for i := range ids {
		ids[i] = model.ID
		binary.BigEndian.PutUint64(ids[i][:], binary.BigEndian.Uint64(model.ID[:])+uint64(i+1)<<16)
		binary.BigEndian.PutUint64(ids[i][8:], rand.Uint64())
		if _, err := insert.ExecContext(b.Context(), ids[i][:], model.ID[:]); err != nil {
			b.Fatal(err)
		}
	}
	return ids
}

// bytesPerRow reports what a row of some tables takes on disk.
func bytesPerRow(b *testing.B, path string, tables ...string) {
	b.Helper()
	raw := databasetest.Raw(b, path)
	for _, table := range tables {
		var size, rows float64
		err := raw.QueryRowContext(b.Context(), `SELECT (SELECT sum(pgsize) FROM dbstat WHERE name = $1), count(*) FROM `+table, table).
			Scan(&size, &rows)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(size/rows, "B/row-"+table)
	}
}
