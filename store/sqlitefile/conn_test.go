package sqlitefile_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"zombiezen.com/go/sqlite"

	databasetest "apikeyd/internal/testkit/database"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

// connect opens a connection to a new database, until the test ends.
func connect(t *testing.T, m sqlitefile.Mode) *sqlitefile.Conn {
	t.Helper()
	path := databasetest.NewPath(t)
	databasetest.Initialise(t, path)
	c, err := sqlitefile.Connect(path, m)
	must(t, err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// texts returns the first column of a query's rows.
func texts(t *testing.T, c *sqlitefile.Conn, query string, args ...any) (all []string) {
	t.Helper()
	must(t, c.Query(t.Context(), func(row *sqlite.Stmt) error {
		all = append(all, row.ColumnText(0))
		return nil
	}, query, args...))
	return all
}

func TestConnSettings(t *testing.T) {
	t.Parallel()
	for m, settings := range map[sqlitefile.Mode]map[string]string{
		sqlitefile.ModeWrite: {"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"},
		sqlitefile.ModeRead:  {"mmap_size": "1073741824", "cache_size": "-256", "busy_timeout": "5000"},
	} {
		c := connect(t, m)
		for name, want := range settings {
			if got := texts(t, c, `PRAGMA `+name); !cmp.Equal(got, []string{want}) {
				t.Errorf("mode %d: %s is %q, want %s", m, name, got, want)
			}
		}
	}
	if err := connect(t, sqlitefile.ModeRead).Exec(`DELETE FROM notes`); !errors.Is(sqlitefile.Translate(err), store.ErrUnavailable) {
		t.Errorf("a connection that reads wrote: %v", err)
	}
}

// Places take their arguments by number, in whatever order the text has them.
func TestConnArguments(t *testing.T) {
	t.Parallel()
	c := connect(t, sqlitefile.ModeRead)
	got := texts(t, c, `SELECT $3 || $1 || $2 || $1`, "a", 2, int64(3))
	if want := []string{"3a2a"}; !cmp.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for query, arg := range map[string]any{
		`SELECT typeof($1) = 'text' AND $1 = 'naïve'`:    "naïve",
		`SELECT typeof($1) = 'text' AND $1 = ''`:         "",
		`SELECT typeof($1) = 'blob' AND $1 = x'00ff'`:    []byte{0, 255},
		`SELECT typeof($1) = 'blob' AND length($1) = 0`:  []byte{},
		`SELECT $1 IS NULL AND 1`:                        []byte(nil),
		`SELECT $1 IS NULL AND 2`:                        nil,
		`SELECT $1 IS NULL AND 3`:                        sql.NullInt64{Int64: 1},
		`SELECT typeof($1) = 'integer' AND $1 = -1`:      sql.NullInt64{Int64: -1, Valid: true},
		`SELECT typeof($1) = 'integer' AND $1 = 1 << 62`: int64(1) << 62,
	} {
		if got := texts(t, c, query, arg); !cmp.Equal(got, []string{"1"}) {
			t.Errorf("%s with %#v: %q", query, arg, got)
		}
	}
	if err := c.Exec(`SELECT $1`, 1.5); err == nil {
		t.Error("an argument of an unknown kind was taken")
	}
	if err := c.Exec(`SELECT $1`, 1, 2); err == nil {
		t.Error("an argument without a place was taken")
	}
	if err := c.Exec(`SELECT $2`, 1); err == nil {
		t.Error("a place had no argument")
	}
}

// A statement can run again however it ended, and with more statements than are kept.
func TestConnRepeats(t *testing.T) {
	t.Parallel()
	c := connect(t, sqlitefile.ModeRead)
	errStop := errors.New("stop")
	const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n`
	for _, end := range []error{nil, sqlitefile.ErrEnough, errStop} {
		for range 2 {
			rows := 0
			err := c.Query(t.Context(), func(*sqlite.Stmt) error { rows++; return end }, numbers, 3)
			if want := (end == nil && rows == 3 && err == nil) || (end != nil && rows == 1); !want {
				t.Errorf("ended by %v: %d rows, %v", end, rows, err)
			}
			if errors.Is(err, errStop) != errors.Is(end, errStop) {
				t.Errorf("ended by %v: error %v", end, err)
			}
		}
	}
	for range 2 {
		for i := range 100 {
			if got, want := texts(t, c, fmt.Sprintf(`SELECT %d`, i)), []string{fmt.Sprint(i)}; !cmp.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
	for range 2 {
		if err := c.Exec(`SELECT nothing`); err == nil {
			t.Error("there was nothing to select")
		}
	}
}

// The end of a context ends a statement, and the connection is as good as before.
func TestConnInterrupted(t *testing.T) {
	t.Parallel()
	c := connect(t, sqlitefile.ModeRead)
	ctx, cancel := context.WithCancel(t.Context())
	started := 0
	err := c.Query(ctx, func(*sqlite.Stmt) error {
		if started++; started == 2 {
			go cancel() // while SQLite looks for the third row, which it never finds
		}
		return nil
	}, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 3`)
	wantErr(t, sqlitefile.During(ctx, err), context.Canceled)
	if err := c.Query(ctx, func(*sqlite.Stmt) error { return nil }, `SELECT 1`); err == nil {
		t.Error("a context that ended before let a statement run")
	}
	if got := texts(t, c, `SELECT 1`); !cmp.Equal(got, []string{"1"}) {
		t.Errorf("afterwards: %q", got)
	}
}

// A connection that is taken is waited for, until the caller gives up.
func TestConns(t *testing.T) {
	t.Parallel()
	path := databasetest.NewPath(t)
	databasetest.Initialise(t, path)
	pool := sqlitefile.ConnectAll(path)
	taken := make(map[*sqlitefile.Conn]bool)
	for range sqlitefile.Connections() {
		c, err := pool.Take(t.Context())
		must(t, err)
		taken[c] = true
	}
	if len(taken) != sqlitefile.Connections() {
		t.Errorf("%d connections are different, want %d", len(taken), sqlitefile.Connections())
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := pool.Take(ended)
	wantErr(t, err, context.Canceled)
	for c := range taken {
		pool.Return(c)
	}
	c, err := pool.Take(t.Context())
	must(t, err)
	if !taken[c] {
		t.Error("a connection was opened although some were free")
	}
	pool.Return(c)
	must(t, pool.Close())

	missing := sqlitefile.ConnectAll(databasetest.NewPath(t))
	for range 2 * sqlitefile.Connections() { // a connection that cannot be opened is not lost
		_, err := missing.Take(t.Context())
		wantErr(t, sqlitefile.Translate(err), store.ErrUnavailable)
	}
	must(t, missing.Close())
}
