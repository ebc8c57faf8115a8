package sqlstore

import (
	"context"
	"database/sql"
	"time"
)

// transactionTimeout bounds what PostgreSQL, or the way there, may take for a transaction.
const transactionTimeout = 5 * time.Second

// session is the connection that writes. After a failure it is another one. Only the
// writer uses it.
type session struct {
	pool   *sql.DB
	conn   *sql.Conn
	ctx    context.Context //nolint:containedctx // of the transaction that runs, which is nobody else's
	cancel context.CancelFunc
}

// open makes sure of a connection, and gives what follows some time.
func (s *session) open() (err error) {
	s.cancelLast()
	s.ctx, s.cancel = context.WithTimeout(context.Background(), transactionTimeout)
	if s.conn == nil {
		s.conn, err = s.pool.Conn(s.ctx)
	}
	return err
}

func (s *session) cancelLast() {
	if s.cancel != nil {
		s.cancel()
		s.cancel = nil
	}
}

// drop gives the connection up. The pool knows whether it is still good.
func (s *session) drop() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

func (s *session) exec(query string, args ...any) error {
	if s.conn == nil {
		return sql.ErrConnDone
	}
	_, err := s.conn.ExecContext(s.ctx, query, args...)
	return err
}

// QueryContext implements querier, under the transaction's time.
func (s *session) QueryContext(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.conn.QueryContext(s.ctx, query, args...)
}

// QueryRowContext implements querier, under the transaction's time.
func (s *session) QueryRowContext(_ context.Context, query string, args ...any) *sql.Row {
	return s.conn.QueryRowContext(s.ctx, query, args...)
}

func (s *session) close() error {
	s.cancelLast()
	s.drop()
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
