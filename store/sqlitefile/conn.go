package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"zombiezen.com/go/sqlite"

	"apikeyd/store"
)

// Conn is a connection for the statements that requests wait for, for one goroutine at a time. It prepares each
// statement once.
//
// It bypasses database/sql, which costs as much as SQLite itself: reading a key by its id took 13 µs of CPU time
// this way and 28 µs that way, inserting a key and its audit event, 64 in a transaction, 41 and 53 µs. Calls of
// SQLite's own interface took 12 and 38 µs, which is not worth code of our own. The driver of database/sql and
// this package run the same SQLite, so they share its locks within the process.
type Conn struct {
	conn     *sqlite.Conn
	prepared map[string]statement
	broken   bool // a fault ended a statement in its middle: SQLite must not touch it again
}

var errBroken = fmt.Errorf("%w: a connection to the database broke in the middle of a statement", store.ErrUnavailable)

// maxPrepared is how many statements a connection keeps. The texts of filters are many, and rarely the same.
const maxPrepared = 64

// Connect opens a connection. The caller must close it before the File.
func Connect(path string, m Mode) (_ *Conn, err error) {
	query := url.Values{"mode": {m.access()}}
	flags := sqlite.OpenReadWrite
	if m == ModeRead {
		flags = sqlite.OpenReadOnly
	}
	name, err := dsn(path, query)
	if err != nil {
		return nil, err
	}
	conn, err := sqlite.OpenConn(name, flags|sqlite.OpenURI)
	if err != nil {
		return nil, TranslateOpen(err)
	}
	c := &Conn{conn: conn, prepared: make(map[string]statement)}
	for _, p := range pragmas(m) {
		if err := c.set(p); err != nil {
			return nil, errors.Join(TranslateOpen(err), c.Close())
		}
	}
	if err := addTranslate(conn); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// set makes a setting, and reads it back.
func (c *Conn) set(p pragma) error {
	if err := c.once(`PRAGMA `+p.name+` = `+p.value, func(*sqlite.Stmt) {}); err != nil {
		return err
	}
	var reported string
	err := c.once(`PRAGMA `+p.name, func(row *sqlite.Stmt) { reported = row.ColumnText(0) })
	if err == nil {
		err = p.compare(reported)
	}
	return err
}

// once runs a statement that is not kept.
func (c *Conn) once(query string, do func(*sqlite.Stmt)) error {
	stmt, _, err := c.conn.PrepareTransient(query)
	if err != nil {
		return err
	}
	err = c.run(statement{Stmt: stmt}, func(row *sqlite.Stmt) error { do(row); return nil }, nil)
	return errors.Join(err, stmt.Finalize())
}

// Exec runs a statement to its end.
func (c *Conn) Exec(query string, args ...any) error {
	return c.Query(context.Background(), func(*sqlite.Stmt) error { return nil }, query, args...)
}

// ErrEnough says that no more rows are wanted.
var ErrEnough = errors.New("no more rows are wanted")

// Query runs a statement and calls do with each row, until do returns an error. ErrEnough ends it early, and is
// no error of Query. The row is valid until do returns, which must not use the connection.
func (c *Conn) Query(ctx context.Context, do func(row *sqlite.Stmt) error, query string, args ...any) error {
	if c.broken {
		return errBroken
	}
	if done := ctx.Done(); done != nil {
		c.conn.SetInterrupt(done)
		defer c.conn.SetInterrupt(nil)
	}
	stmt, kept, err := c.statement(query)
	if err != nil {
		return err
	}
	err = c.run(stmt, do, args)
	if !kept {
		err = errors.Join(err, stmt.Finalize())
	}
	return err
}

// statement is a prepared statement.
type statement struct {
	*sqlite.Stmt
	// The argument for each of its places: SQLite numbers places, $2 too, in the order of the text.
	places []int
	args   int // how many arguments it has
}

// statement prepares a statement unless it is kept, and reports whether it is now.
func (c *Conn) statement(query string) (s statement, kept bool, err error) {
	if s, kept = c.prepared[query]; kept {
		return s, true, nil
	}
	if kept = len(c.prepared) < maxPrepared; kept {
		s.Stmt, err = c.conn.Prepare(query)
	} else {
		s.Stmt, _, err = c.conn.PrepareTransient(query)
	}
	if err != nil {
		return s, false, err
	}
	for place := range s.BindParamCount() {
		arg, err := strconv.Atoi(strings.TrimPrefix(s.BindParamName(place+1), "$"))
		if err != nil {
			return s, false, errors.Join(err, s.Finalize())
		}
		s.places, s.args = append(s.places, arg-1), max(s.args, arg)
	}
	if kept {
		c.prepared[query] = s
	}
	return s, kept, nil
}

// run binds all arguments of a statement, steps through its rows, and resets it, which ends a transaction of its
// own.
func (c *Conn) run(stmt statement, do func(*sqlite.Stmt) error, args []any) (err error) {
	if len(args) != stmt.args {
		return fmt.Errorf("%d arguments for a statement that has %d", len(args), stmt.args)
	}
	for place, arg := range stmt.places {
		if err := bind(stmt.Stmt, place+1, args[arg]); err != nil {
			return err
		}
	}
	defer func() {
		if !c.broken {
			err = errors.Join(err, stmt.Reset())
		}
	}()
	for {
		c.broken = true // until Step returns: reading mapped memory that is not there panics
		more, err := stmt.Step()
		c.broken = false
		if more {
			err = do(stmt.Stmt)
		}
		if errors.Is(err, ErrEnough) {
			return nil
		}
		if err != nil || !more {
			return err
		}
	}
}

func bind(stmt *sqlite.Stmt, place int, arg any) error {
	switch arg := arg.(type) {
	case string:
		stmt.BindText(place, arg)
	case []byte:
		if arg == nil {
			stmt.BindNull(place)
		} else {
			stmt.BindBytes(place, arg)
		}
	case int:
		stmt.BindInt64(place, int64(arg))
	case int64:
		stmt.BindInt64(place, arg)
	case sql.NullInt64:
		if arg.Valid {
			stmt.BindInt64(place, arg.Int64)
		} else {
			stmt.BindNull(place)
		}
	case nil:
		stmt.BindNull(place)
	default:
		return fmt.Errorf("%T cannot be stored", arg)
	}
	return nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Conns are connections that read, opened when they are needed.
type Conns struct {
	path string
	free chan *Conn // nil for one that is not open
}

// ConnectAll returns Connections connections that read. The caller must close them before the File.
func ConnectAll(path string) *Conns {
	p := &Conns{path: path, free: make(chan *Conn, Connections())}
	for range cap(p.free) {
		p.free <- nil
	}
	return p
}

// Take waits for a free connection. The caller must Return it.
func (p *Conns) Take(ctx context.Context) (c *Conn, err error) {
	select {
	case c = <-p.free:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c == nil {
		if c, err = Connect(p.path, ModeRead); err != nil {
			p.free <- nil
		}
	}
	return c, err
}

// Return gives a connection back.
func (p *Conns) Return(c *Conn) {
	if c.broken {
		c = nil
	}
	p.free <- c
}

// Close closes the connections once they are returned.
func (p *Conns) Close() error {
	var errs []error
	for range cap(p.free) {
		if c := <-p.free; c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
