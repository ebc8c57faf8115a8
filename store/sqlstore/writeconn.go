package sqlstore

import (
	"context"
	"database/sql"
	"time"
)

// statementTimeout bounds what PostgreSQL, or the way there, may take for one statement. A
// transaction of many changes that goes on, if slowly, comes to its end.
const statementTimeout = 5 * time.Second

// writeConn is the connection that writes to PostgreSQL. After a failure it is another one.
// Only the writer uses it.
type writeConn struct {
	pool   *sql.DB
	conn   *sql.Conn
	ctx    context.Context //nolint:containedctx // of the statement that runs, which is nobody else's
	cancel context.CancelFunc
}

// open makes sure of a connection.
func (c *writeConn) open() (err error) {
	c.begin()
	if c.conn == nil {
		c.conn, err = c.pool.Conn(c.ctx)
	}
	return err
}

// begin gives a statement its time. The one before has come to its end.
func (c *writeConn) begin() {
	c.cancelLast()
	c.ctx, c.cancel = context.WithTimeout(context.Background(), statementTimeout)
}

func (c *writeConn) cancelLast() {
	if c.cancel != nil {
		c.cancel()
		c.cancel = nil
	}
}

// drop gives the connection up. The pool knows whether it is still good.
func (c *writeConn) drop() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

func (c *writeConn) exec(query string, args ...any) error {
	if c.conn == nil {
		return sql.ErrConnDone
	}
	c.begin()
	_, err := c.conn.ExecContext(c.ctx, query, args...)
	return err
}

// QueryContext implements querier, within the statement's time.
func (c *writeConn) QueryContext(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	c.begin()
	return c.conn.QueryContext(c.ctx, query, args...)
}

// QueryRowContext implements querier, within the statement's time.
func (c *writeConn) QueryRowContext(_ context.Context, query string, args ...any) *sql.Row {
	c.begin()
	return c.conn.QueryRowContext(c.ctx, query, args...)
}

func (c *writeConn) close() error {
	c.cancelLast()
	c.drop()
	return nil
}

// unprepared runs statements on a pool as they are: the driver remembers them, or does not
// where the URL says so, because a pooler between changes the connections.
type unprepared struct{ *sql.DB }

func (u unprepared) exec(query string, args ...any) error {
	_, err := u.ExecContext(context.Background(), query, args...)
	return err
}

func (u unprepared) close() error { return nil } // the pool is closed for itself
