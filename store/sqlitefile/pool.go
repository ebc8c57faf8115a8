package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"

	driver "modernc.org/sqlite" // registers the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
	"zombiezen.com/go/sqlite"

	"apikeyd/store"
)

// Mode is what a pool of connections is for.
type Mode int

// The modes.
const (
	ModeWrite     Mode = iota // the one connection that changes the database, and checkpoints the WAL
	ModeRead                  // several connections that read
	ModeRecover               // writes only to roll back what a crash left half done
	ModeInspect               // reads, and leaves the files as they were
	ModeImmutable             // reads a file that nobody writes to, without locks and logs
)

// busyTimeout is how long, in milliseconds, a connection waits for a lock that
// another process holds: the command line beside the server.
const busyTimeout = 5000

// pragma is a setting of each connection, and how SQLite reports it when it is in force. SQLite silently
// ignores unknown pragmas, so each one is read back.
type pragma struct{ name, value, reported string }

// check reads a setting back.
func (p pragma) check(ctx context.Context, q interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) error {
	var reported string
	err := q.QueryRowContext(ctx, `PRAGMA `+p.name).Scan(&reported)
	if err == nil {
		err = p.compare(reported)
	}
	return err
}

func (p pragma) compare(reported string) error {
	if reported != p.reported {
		return fmt.Errorf("SQLite refused %s=%s and stays at %s", p.name, p.value, reported)
	}
	return nil
}

func pragmas(m Mode) []pragma {
	p := []pragma{
		{"busy_timeout", fmt.Sprint(busyTimeout), fmt.Sprint(busyTimeout)},
		{"foreign_keys", "1", "1"},
	}
	switch m {
	case ModeWrite:
		p = append(p,
			pragma{"journal_mode", "WAL", "wal"},
			pragma{"synchronous", "FULL", "2"}, // an acknowledged write survives power loss
			pragma{"fullfsync", "1", "1"},      // on macOS, where fsync leaves it in the drive's cache
			// In pages of 4 KiB: pages that change often are checkpointed less often.
			pragma{"wal_autocheckpoint", "4000", "4000"},
			// In bytes: the WAL grows during a backup, and shrinks again after it.
			pragma{"journal_size_limit", "67108864", "67108864"},
		)
	case ModeInspect:
		p = append(p, pragma{"query_only", "1", "1"})
	case ModeRead, ModeImmutable:
		// In bytes: a look-up reads the page cache without copying it.
		p = append(p,
			pragma{"mmap_size", "1073741824", "1073741824"},
			pragma{"cache_size", "-256", "-256"}, // in KiB: with mmap it needs little
		)
	}
	return p
}

// Connections is how many connections a pool that reads has.
func Connections() int { return max(4, runtime.NumCPU()) }

// access is SQLite's name for what a connection may do with the file.
func (m Mode) access() string {
	if m == ModeRead || m == ModeImmutable {
		return "ro"
	}
	return "rw"
}

// OpenPool connects to a file. The caller must close the pool before the File.
func OpenPool(ctx context.Context, path string, m Mode) (*sql.DB, error) {
	if m == ModeInspect && HasLog(path) {
		m = ModeRead // without a log, a connection that can only read would leave one behind
	}
	query := url.Values{"mode": {m.access()}}
	if m == ModeImmutable {
		query.Set("immutable", "1")
	}
	for _, p := range pragmas(m) {
		query.Add("_pragma", p.name+"("+p.value+")")
	}
	most := Connections()
	if m == ModeWrite {
		// A transaction that begins as a reader cannot wait for the write lock.
		query.Set("_txlock", "immediate")
		most = 1
	}
	dsn, err := dsn(path, query)
	if err != nil {
		return nil, err
	}
	pool, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(most)
	pool.SetMaxIdleConns(most)
	if err := assertPragmas(ctx, pool, m); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return pool, nil
}

// dsn is the name of a file for the driver. Without "file:" SQLite would read the query as part of the name.
func dsn(path string, query url.Values) (string, error) {
	absolute, err := filepath.Abs(path)
	file := url.URL{Scheme: "file", Path: absolute, RawQuery: query.Encode()}
	return file.String(), err
}

func assertPragmas(ctx context.Context, pool *sql.DB, m Mode) error {
	for _, p := range pragmas(m) {
		if err := p.check(ctx, pool); err != nil {
			return TranslateOpen(err)
		}
	}
	return nil
}

// CheckSettings checks that SQLite accepts the settings with which a server writes.
func CheckSettings(ctx context.Context, pool *sql.DB) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for _, p := range pragmas(ModeWrite) {
		if p.name == "journal_mode" {
			continue // this one belongs to the file
		}
		if _, err := conn.ExecContext(ctx, `PRAGMA `+p.name+` = `+p.value); err != nil {
			return During(ctx, err)
		}
		if err := p.check(ctx, conn); err != nil {
			return During(ctx, err)
		}
	}
	return nil
}

// TranslateOpen returns store.ErrForeign for a file that is not a SQLite database. Damage looks the same once a
// database is open: then Translate applies.
func TranslateOpen(err error) error {
	if Code(err)&0xff == sqlite3.SQLITE_NOTADB {
		return store.ErrForeign
	}
	return err
}

// Code returns SQLite's extended code of an error, or 0 if it is not one of SQLite's.
func Code(err error) int {
	if driverError, ok := errors.AsType[*driver.Error](err); ok {
		return driverError.Code()
	}
	// ErrCode returns ResultError for all other errors, and for those that no caller distinguishes.
	if code := sqlite.ErrCode(err); code != sqlite.ResultError {
		return int(code)
	}
	return 0
}

// During translates the error of a call that ran under a context. If the context ended, that is the cause,
// whatever the driver calls it.
func During(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return Translate(err)
}

// Translate turns an error of the driver into one of the store's, by its code.
func Translate(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	code := Code(err)
	if code == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
		return store.ErrNameTaken
	}
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
		sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL:
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	return err
}
