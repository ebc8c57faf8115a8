package sqlstore

import (
	"context"
	"database/sql"
	"time"
)

// transactionTimeout bounds what PostgreSQL, or the way there, may take for a transaction.
const transactionTimeout = 5 * time.Second

// writeConn is the connection that writes to PostgreSQL. After a failure it is another one.
// Only the writer uses it.
type writeConn struct {
	pool   *sql.DB
	conn   *sql.Conn
	ctx    context.Context //nolint:containedctx // of the transaction that runs, which is nobody else's
	cancel context.CancelFunc
}

// open makes sure of a connection, and gives what follows some time.
func (c *writeConn) open() (err error) {
	c.cancelLast()
	c.ctx, c.cancel = context.WithTimeout(context.Background(), transactionTimeout)
	if c.conn == nil {
		c.conn, err = c.pool.Conn(c.ctx)
	}
	return err
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
	_, err := c.conn.ExecContext(c.ctx, query, args...)
	return err
}

// QueryContext implements querier, under the transaction's time.
func (c *writeConn) QueryContext(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	return c.conn.QueryContext(c.ctx, query, args...)
}

// QueryRowContext implements querier, under the transaction's time.
func (c *writeConn) QueryRowContext(_ context.Context, query string, args ...any) *sql.Row {
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
