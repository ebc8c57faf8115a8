package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// statements runs queries on a pool or a connection, and prepares each once: preparing takes longer than running
// most of them. It is safe for concurrent use. The texts are constants of this package, so there are only a few.
type statements struct {
	on interface {
		PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
	pinned   *sql.Conn // closed with the statements; nil if they run on a pool
	prepared sync.Map  // text to *sql.Stmt
}

func (s *statements) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if known, ok := s.prepared.Load(query); ok {
		return known.(*sql.Stmt), nil
	}
	stmt, err := s.on.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	kept, lost := s.prepared.LoadOrStore(query, stmt)
	if lost { // another goroutine was faster
		err = stmt.Close() //nolint:sqlclosecheck // only this one is closed here
	}
	return kept.(*sql.Stmt), err
}

// exec runs a statement that returns no rows, to its end.
func (s *statements) exec(query string, args ...any) error {
	stmt, err := s.statement(context.Background(), query) //nolint:sqlclosecheck // kept for the next time
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(context.Background(), args...)
	return err
}

// QueryContext implements querier.
func (s *statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := s.statement(ctx, query) //nolint:sqlclosecheck // kept for the next time
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

// QueryRowContext implements querier.
func (s *statements) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := s.statement(ctx, query) //nolint:sqlclosecheck // kept for the next time
	if err != nil {
		return s.on.QueryRowContext(ctx, query, args...) // it fails the same way, and can say so
	}
	return stmt.QueryRowContext(ctx, args...)
}

func (s *statements) close() error {
	var errs []error
	s.prepared.Range(func(_, stmt any) bool {
		errs = append(errs, stmt.(*sql.Stmt).Close())
		return true
	})
	if s.pinned != nil {
		errs = append(errs, s.pinned.Close())
	}
	return errors.Join(errs...)
}
