package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"

	"modernc.org/sqlite" // registers the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"apikeyd/store"
)

// mode is what a pool of connections is for.
type mode string

const (
	writing mode = "write"
	reading mode = "read"
	mending mode = "mend" // writes only to undo what a crash left half done
	looking mode = "look" // reads, and takes the log away that it made itself
	frozen  mode = "file" // reads a file that nobody writes to, past locks and logs
)

// busyTimeout is how long, in milliseconds, a connection waits for a lock that
// another process holds: the command line beside the server.
const busyTimeout = 5000

// pragma is a setting of each connection and what SQLite answers when it is in
// force. SQLite ignores an unknown pragma silently, so each one is asked back.
type pragma struct{ name, value, answer string }

func (p pragma) refused(answer string) error {
	return fmt.Errorf("SQLite refused %s=%s and stays at %s", p.name, p.value, answer)
}

func pragmas(m mode) []pragma {
	p := []pragma{
		{"busy_timeout", fmt.Sprint(busyTimeout), fmt.Sprint(busyTimeout)},
		{"foreign_keys", "1", "1"},
	}
	switch m {
	case writing:
		p = append(p,
			pragma{"journal_mode", "WAL", "wal"},
			pragma{"synchronous", "FULL", "2"}, // an acknowledged write survives power loss
			pragma{"fullfsync", "1", "1"},      // on macOS, where fsync leaves it in the drive's cache
			// In pages of 4 KiB: what is written often is copied into the database less often.
			pragma{"wal_autocheckpoint", "4000", "4000"},
			// In bytes: what the log grew by during a backup goes back to the disk after it.
			pragma{"journal_size_limit", "67108864", "67108864"},
		)
	case looking:
		p = append(p, pragma{"query_only", "1", "1"})
	case reading, frozen:
		// In bytes: a look-up reads the operating system's memory instead of copying it.
		p = append(p,
			pragma{"mmap_size", "1073741824", "1073741824"},
			pragma{"cache_size", "-256", "-256"}, // so it needs little of its own, in KiB
		)
	}
	return p
}

// connections is how many a pool that reads has.
func connections() int { return max(4, runtime.NumCPU()) }

func openPool(ctx context.Context, path string, m mode) (*sql.DB, error) {
	registerTranslate()
	query := url.Values{"mode": {"rw"}}
	if m == reading || m == frozen {
		query.Set("mode", "ro")
	}
	if m == frozen {
		query.Set("immutable", "1")
	}
	for _, p := range pragmas(m) {
		query.Add("_pragma", p.name+"("+p.value+")")
	}
	most := connections()
	if m == writing {
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

// dsn names a file to SQLite. Without "file:" it would take the query for a part of the name.
func dsn(path string, query url.Values) (string, error) {
	absolute, err := filepath.Abs(path)
	file := url.URL{Scheme: "file", Path: absolute, RawQuery: query.Encode()}
	return file.String(), err
}

func assertPragmas(ctx context.Context, pool *sql.DB, m mode) error {
	for _, p := range pragmas(m) {
		var answer string
		if err := pool.QueryRowContext(ctx, "PRAGMA "+p.name).Scan(&answer); err != nil {
			return translateOpen(err)
		}
		if answer != p.answer {
			return p.refused(answer)
		}
	}
	return nil
}

// translateOpen names the one failure of opening that a user can cause.
func translateOpen(err error) error {
	var driverError *sqlite.Error
	if errors.As(err, &driverError) && driverError.Code()&0xff == sqlite3.SQLITE_NOTADB {
		return store.ErrForeign
	}
	return err
}

// during is translate for what ran under a context: its end is the cause, whatever the
// driver calls it.
func during(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return translate(err)
}

// translate turns a driver's error into one of the store's, by code.
func translate(err error) error {
	var driverError *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	case !errors.As(err, &driverError):
		return err
	}
	code := driverError.Code()
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

func isDamage(err error) bool { return errors.Is(err, store.ErrDamaged) }
