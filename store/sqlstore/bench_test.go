package sqlstore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// openToBench opens a new database, and returns its path too.
func openToBench(b *testing.B) (*sqlstore.DB, string) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "keys.db")
	db, err := sqlstore.Open(b.Context(), sqlstore.Options{Path: path, Serve: true})
	must(b, err)
	b.Cleanup(func() { must(b, db.Close()) })
	return db, path
}

// BenchmarkKey reads a key, as a verification does when the cache does not have it.
func BenchmarkKey(b *testing.B) {
	db, _ := openToBench(b)
	var keys []apikey.Key
	for i := range 256 {
		now := time.Now()
		key, _, err := apikey.Policy{}.NewKey(now, apikey.Settings{
			Owner: "customer", Name: fmt.Sprintf("key %d", i), Scopes: apikey.Scopes{"datasets:read"},
			ExpiresAt: now.AddDate(1, 0, 0),
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := db.CreateKey(b.Context(), store.Operator("test"), key); err != nil {
			b.Fatal(err)
		}
		keys = append(keys, key)
	}
	for _, bb := range []struct {
		name string
		ref  func(apikey.Key) store.Ref
	}{
		{"by id", func(k apikey.Key) store.Ref { return store.ByID(k.ID) }},
		{"by name", func(k apikey.Key) store.Ref { return store.ByName(k.Owner, k.Name) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				if _, err := db.Key(b.Context(), bb.ref(keys[i%len(keys)])); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkCreate creates keys, each with its audit event, for one caller and for many at once.
func BenchmarkCreate(b *testing.B) {
	db, _ := openToBench(b)
	actor := store.Operator("bench")
	now := time.Now()
	create := func() error {
		key, _, err := apikey.Policy{}.NewKey(now, apikey.Settings{
			Owner: "customer", Name: apikey.NewID().String()[:35], Scopes: apikey.Scopes{"keys:read", "keys:write"},
			ExpiresAt: now.AddDate(1, 0, 0),
		})
		if err != nil {
			return err
		}
		return db.CreateKey(b.Context(), actor, key)
	}
	b.Run("one caller", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := create(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("many callers", func(b *testing.B) {
		b.SetParallelism(64)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := create(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

// BenchmarkKeys reads a page of 20 keys, of one owner among several.
func BenchmarkKeys(b *testing.B) {
	db, _ := openToBench(b)
	for i := range 256 {
		now := time.Now()
		key, _, err := apikey.Policy{}.NewKey(now, apikey.Settings{
			Owner: fmt.Sprintf("customer %d", i%4), Name: fmt.Sprintf("key %d", i), Scopes: apikey.Scopes{"datasets:read"},
			ExpiresAt: now.AddDate(1, 0, 0),
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := db.CreateKey(b.Context(), store.Operator("test"), key); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(b.Context()) // as a request's
	defer cancel()
	query := store.Query{Owner: "customer 1", Limit: 20}
	b.Run("keys", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := db.Keys(ctx, query); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ids", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := db.KeyIDs(ctx, query); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkUses writes last-used times, of 10,000 keys at once.
func BenchmarkUses(b *testing.B) {
	db, _ := openToBench(b)
	const keys = 10_000
	var uses []store.Use
	var mu sync.Mutex
	var creating sync.WaitGroup
	for c := range 64 {
		creating.Go(func() {
			for i := c; i < keys; i += 64 {
				key, _, err := apikey.Policy{}.NewKey(time.Now(), apikey.Settings{
					Owner: "customer", Name: fmt.Sprintf("key %d", i), ExpiresAt: time.Now().AddDate(1, 0, 0),
				})
				if err == nil {
					err = db.CreateKey(b.Context(), store.Operator("test"), key)
				}
				if err != nil {
					b.Error(err)
				}
				mu.Lock()
				uses = append(uses, store.Use{Key: key.ID, Owner: "customer"})
				mu.Unlock()
			}
		})
	}
	creating.Wait()
	at := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(time.Second)
		for i := range uses {
			uses[i].LastUsedAt = at
		}
		for some := range slices.Chunk(uses, store.UsesAtOnce) {
			if err := db.RecordUses(b.Context(), some); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*keys), "ns/use")
}

// BenchmarkNotices looks for notices that are due, as a server does every few seconds, among a million keys that end
// within ten years: one call for the ends of the next 30 days.
func BenchmarkNotices(b *testing.B) {
	db, path := openToBench(b)
	const keys = 1_000_000
	now := time.Now()
	_, err := databasetest.Raw(b, path).ExecContext(b.Context(), `INSERT INTO api_keys
			(id, owner, name, prefix, scopes, secret_hash, created_at, expires_at, metadata)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		SELECT unhex(printf('%032x', i)), 'acme', printf('key %d', i), 'ak_12345678', '', randomblob(32), $2,
			$3 + i * CAST($4 AS INTEGER), '{}' FROM n`,
		keys, now.AddDate(-1, 0, 0).UnixMilli(), now.UnixMilli(), (10*365*24*time.Hour).Milliseconds()/keys)
	if err != nil {
		b.Fatal(err)
	}
	rules := store.NoticeRules{Thresholds: []time.Duration{7 * 24 * time.Hour, 30 * 24 * time.Hour}}
	look := func() (written int) {
		for place := (store.NoticePlace{}); ; {
			n, next, err := db.WriteNotices(b.Context(), store.NoticeEnd, rules, place)
			if err != nil {
				b.Fatal(err)
			}
			if written += n; next == (store.NoticePlace{}) {
				return written
			}
			place = next
		}
	}
	written := look()
	b.ReportAllocs()
	for b.Loop() {
		written += look()
	}
	b.ReportMetric(float64(written), "notices")
}
