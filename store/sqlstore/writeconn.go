package sqlstore

import (
	"context"
	"database/sql"
	"time"
)

// statementTimeout bounds one statement, PostgreSQL's time and the network's. A transaction of many changes that
// makes slow progress still finishes.
const statementTimeout = 5 * time.Second

// writeConn is the connection that writes to PostgreSQL. After a failure it connects again. Only the writer uses
// it.
type writeConn struct {
	pool   *sql.DB
	conn   *sql.Conn
	ctx    context.Context //nolint:containedctx // of the running statement: the writer has one at a time
	cancel context.CancelFunc
}

// open connects unless there is a connection.
func (c *writeConn) open() (err error) {
	c.begin()
	if c.conn == nil {
		c.conn, err = c.pool.Conn(c.ctx)
	}
	return err
}

// begin starts the time of a statement. The previous one has ended.
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

// drop returns the connection. The pool knows whether it is still usable.
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

// each implements querier, within the statement's time.
func (c *writeConn) each(_ context.Context, do func(row) error, query string, args ...any) error {
	c.begin()
	return sqlQuerier{c.conn}.each(c.ctx, do, query, args...)
}

// Close drops the connection.
func (c *writeConn) Close() error {
	c.cancelLast()
	c.drop()
	return nil
}
