package sqlstore

import (
	"context"

	"zombiezen.com/go/sqlite"

	"apikeyd/store/sqlitefile"
)

// sqliteConn is a connection to a file.
type sqliteConn struct{ *sqlitefile.Conn }

func (c sqliteConn) each(ctx context.Context, do func(row) error, query string, args ...any) error {
	return c.Query(ctx, func(stmt *sqlite.Stmt) error { return do(row{stmt}) }, query, args...)
}

func (c sqliteConn) exec(query string, args ...any) error { return c.Exec(query, args...) }

// sqlitePool are connections that read a file.
type sqlitePool struct{ *sqlitefile.Conns }

func (p sqlitePool) each(ctx context.Context, do func(row) error, query string, args ...any) error {
	c, err := p.Take(ctx)
	if err != nil {
		return err
	}
	defer p.Return(c)
	return sqliteConn{c}.each(ctx, do, query, args...)
}

func (p sqlitePool) snapshot(ctx context.Context, queries func(querier) error) error {
	c, err := p.Take(ctx)
	if err != nil {
		return err
	}
	defer p.Return(c)
	if err := c.Exec(`BEGIN`); err != nil {
		return err
	}
	defer func() { _ = c.Exec(`ROLLBACK`) }() // it only read
	return queries(sqliteConn{c})
}
