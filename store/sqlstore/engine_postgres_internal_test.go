//go:build full

package sqlstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store"
)

// A node falls silent during a transaction, as if it were cut off from the database: others do not wait forever
// for its locks, and its change is not made.
func TestSilentNodeLosesItsLocks(t *testing.T) {
	t.Parallel()
	url := postgrestest.Shared(t).Database(t)
	open := func() *DB {
		db, err := Open(t.Context(), Options{Path: url, Node: "both", Serve: true}) // one chain, one lock
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	silent, other := open(), open()
	begun, heard, answered := make(chan struct{}), make(chan struct{}), make(chan error)
	key := newKey(t)
	go func() {
		answered <- silent.mutate(t.Context(), store.Operator("test"), func(m *mutation) error {
			close(begun)
			<-heard
			return m.insertKey(key)
		})
	}()
	<-begun
	if err := other.CreateKey(t.Context(), store.Operator("test"), newKey(t)); err != nil {
		t.Error("while another node is silent:", err)
	}
	close(heard)
	if err := <-answered; !errors.Is(err, store.ErrUnavailable) {
		t.Error("the silent node's change:", err)
	}
	if _, err := other.Key(t.Context(), store.ByID(key.ID)); !errors.Is(err, store.ErrNotFound) {
		t.Error("the silent node's key:", err)
	}
}

// A look-up never reads a whole table, although its plan was made when the table was as good as empty.
func TestLookupsAreByIndex(t *testing.T) {
	t.Parallel()
	url := postgrestest.Shared(t).Database(t)
	db, err := Open(t.Context(), Options{Path: url, Node: "main", Serve: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	key := newKey(t)
	if err := db.CreateKey(t.Context(), store.Operator("test"), key); err != nil {
		t.Fatal(err)
	}
	exec := func(statement string) {
		t.Helper()
		if _, err := db.budget.pool.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	// PostgreSQL keeps a plan after five executions.
	lookUp := func() {
		for range 20 {
			if _, err := db.Key(t.Context(), store.ByID(key.ID)); err != nil {
				t.Fatal(err)
			}
			if err := db.RecordUses(t.Context(), []store.Use{{Key: key.ID, LastUsedAt: time.Now()}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var jit string
	if err := db.budget.pool.QueryRowContext(t.Context(), `SHOW jit`).Scan(&jit); err != nil || jit != "off" {
		t.Errorf("jit is %q, %v: plans that are made dear on purpose would be compiled", jit, err)
	}
	exec(`VACUUM ANALYZE`)
	lookUp()
	exec(`INSERT INTO key_uses SELECT decode(md5(i::text), 'hex'), 0 FROM generate_series(1, 20000) AS i`)
	rowsRead := func() (rows int) {
		exec(`SELECT pg_stat_force_next_flush()`)
		query := `SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname IN ('key_uses', 'api_keys')`
		if err := db.budget.pool.QueryRowContext(t.Context(), query).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	before := rowsRead()
	lookUp()
	if read := rowsRead() - before; read > 20000 {
		t.Errorf("20 look-ups and last uses read %d rows from end to end", read)
	}
}

// A look for notices reads the keys that end soon, and not the others.
func TestNoticesAreByIndex(t *testing.T) {
	t.Parallel()
	url := postgrestest.Shared(t).Database(t)
	db, err := Open(t.Context(), Options{Path: url, Node: "main", Serve: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	for _, statement := range []string{
		`INSERT INTO api_keys (id, owner, name, prefix, scopes, secret_hash, created_at, expires_at, old_secret_until, metadata)
			SELECT decode(md5(i::text), 'hex'), 'acme', 'key ' || i, 'ak_12345678', CASE WHEN i % 1000 = 0 THEN 'keys:admin' ELSE '' END,
				sha256(i::text::bytea), i, 1900000000000 + i * 1000000::bigint, CASE WHEN i % 100 = 0 THEN 1900000000000 + i * 1000 END, '{}'
			FROM generate_series(1, 50000) AS i`,
		`VACUUM ANALYZE`,
	} {
		if _, err := db.budget.pool.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for kind, index := range map[store.NoticeKind]string{
		store.NoticeEnd: "api_keys_expiry", store.NoticeGrace: "api_keys_grace", store.NoticeSecret: "api_keys_admin",
	} {
		var plan strings.Builder
		err := db.points.each(t.Context(), func(r row) error {
			var line string
			err := r.Scan(&line)
			plan.WriteString(line + "\n")
			return err
		}, `EXPLAIN `+noticeWalks[kind].query(), int(kind), 1900000000000, make([]byte, 16), 1900000100000, noticesLooked)
		if err != nil {
			t.Fatal(err)
		}
		if text := plan.String(); !strings.Contains(text, "using "+index+" on api_keys") || strings.Contains(text, "Sort") {
			t.Errorf("the plan of kind %d does not follow %s:\n%s", kind, index, text)
		}
	}
}
