package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"apikeyd/store/sqlitefile"
)

// querier runs queries on a connection, in a transaction, or on any connection of a pool.
type querier interface {
	// each calls do with each row, until do returns an error. sqlitefile.ErrEnough ends it early, and is no error
	// of each.
	each(ctx context.Context, do func(row) error, query string, args ...any) error
}

// pool is connections that read.
type pool interface {
	querier
	// snapshot runs queries that all see one state of the database.
	snapshot(ctx context.Context, queries func(querier) error) error
}

// runner runs statements that change something, too.
type runner interface {
	querier
	// exec runs a statement that returns no rows to completion.
	exec(query string, args ...any) error
}

// first returns the first row of a query. Its scan runs the query, and returns sql.ErrNoRows if there is none.
func first(ctx context.Context, q querier, query string, args ...any) firstRow {
	return firstRow{ctx, q, query, args}
}

type firstRow struct {
	ctx   context.Context //nolint:containedctx // of the one call that follows
	q     querier
	query string
	args  []any
}

// Scan is row.Scan.
func (f firstRow) Scan(to ...any) error {
	found := false
	err := f.q.each(f.ctx, func(r row) error {
		found = true
		if err := r.Scan(to...); err != nil {
			return err
		}
		return sqlitefile.ErrEnough
	}, f.query, f.args...)
	if err == nil && !found {
		err = sql.ErrNoRows
	}
	return err
}

// execCounting runs a statement, and counts the rows that its RETURNING returns.
func execCounting(on runner, statement string, args ...any) (rows int, err error) {
	err = on.each(context.Background(), func(row) error {
		rows++
		return nil
	}, statement, args...)
	return rows, err
}

// row is a row of a result, until the next one is read.
type row struct{ cells }

// cells are the columns of a row, as SQLite returns them.
type cells interface {
	ColumnType(column int) sqlite.ColumnType
	ColumnInt64(column int) int64
	ColumnText(column int) string // of a text or bytes
	ColumnLen(column int) int
	ColumnBytes(column int, into []byte) int // copies bytes
}

// Scan reads the columns into the parts of a key and variables that to points to.
func (r row) Scan(to ...any) error {
	for i, to := range to {
		if err := r.scan(i, to); err != nil {
			return err
		}
	}
	return nil
}

func (r row) scan(i int, to any) (err error) {
	switch to := to.(type) {
	case stored:
		return to.read(r, i)
	case *[]byte:
		*to, err = r.bytes(i)
		return err
	case *sql.NullInt64:
		*to, err = r.number(i)
		return err
	}
	if r.ColumnType(i) == sqlite.TypeNull {
		return fmt.Errorf("column %d is NULL", i)
	}
	var number sql.NullInt64
	switch to := to.(type) {
	case *string:
		*to, err = r.text(i)
	case *int64:
		number, err = r.number(i)
		*to = number.Int64
	case *int:
		number, err = r.number(i)
		*to = int(number.Int64)
	case *bool:
		number, err = r.number(i)
		*to = number.Int64 != 0
	default:
		err = fmt.Errorf("a column cannot be read into %T", to)
	}
	return err
}

// text reads a text; NULL is empty.
func (r row) text(i int) (string, error) {
	switch r.ColumnType(i) {
	case sqlite.TypeText, sqlite.TypeBlob:
		return r.ColumnText(i), nil
	case sqlite.TypeNull:
		return "", nil
	}
	return "", fmt.Errorf("column %d is not a text", i)
}

// number reads a number that may be NULL.
func (r row) number(i int) (sql.NullInt64, error) {
	switch r.ColumnType(i) {
	case sqlite.TypeInteger:
		return sql.NullInt64{Int64: r.ColumnInt64(i), Valid: true}, nil
	case sqlite.TypeNull:
		return sql.NullInt64{}, nil
	}
	return sql.NullInt64{}, fmt.Errorf("column %d is not a number", i)
}

// bytes reads bytes; NULL is nil.
func (r row) bytes(i int) ([]byte, error) {
	if r.ColumnType(i) == sqlite.TypeNull {
		return nil, nil
	}
	into := make([]byte, r.ColumnLen(i))
	return into, r.fill(i, into)
}

// fill reads bytes of exactly this length, or NULL.
func (r row) fill(i int, into []byte) error {
	switch kind := r.ColumnType(i); {
	case kind == sqlite.TypeNull:
		return nil
	case kind != sqlite.TypeBlob || r.ColumnLen(i) != len(into):
		return errLength
	}
	r.ColumnBytes(i, into)
	return nil
}

// sqlQuerier is a querier over database/sql: a *sql.DB, *sql.Conn or *sql.Tx.
type sqlQuerier struct {
	on interface {
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
}

func (q sqlQuerier) each(ctx context.Context, do func(row) error, query string, args ...any) error {
	rows, err := q.on.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make(sqlCells, len(names))
	into := make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := do(row{values}); errors.Is(err, sqlitefile.ErrEnough) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return rows.Err()
}

// sqlPool is a pool over database/sql.
type sqlPool struct {
	sqlQuerier
	pool    *sql.DB
	options *sql.TxOptions // of a transaction whose queries see one state
}

func newSQLPool(p *sql.DB, options *sql.TxOptions) sqlPool { return sqlPool{sqlQuerier{p}, p, options} }

func (p sqlPool) snapshot(ctx context.Context, queries func(querier) error) error {
	tx, err := p.pool.BeginTx(ctx, p.options)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it only read
	return queries(sqlQuerier{tx})
}

// sqlCells are cells as database/sql returns them.
type sqlCells []any

func (c sqlCells) ColumnType(i int) sqlite.ColumnType {
	switch c[i].(type) {
	case nil:
		return sqlite.TypeNull
	case int64, bool:
		return sqlite.TypeInteger
	case string:
		return sqlite.TypeText
	case []byte:
		return sqlite.TypeBlob
	}
	return sqlite.TypeFloat // or a time: nothing that is stored
}

func (c sqlCells) ColumnInt64(i int) int64 {
	switch value := c[i].(type) {
	case int64:
		return value
	case bool:
		if value {
			return 1
		}
	}
	return 0
}

func (c sqlCells) ColumnText(i int) string {
	if text, ok := c[i].([]byte); ok {
		return string(text)
	}
	text, _ := c[i].(string)
	return text
}

func (c sqlCells) ColumnLen(i int) int { return len(c.ColumnText(i)) }

func (c sqlCells) ColumnBytes(i int, into []byte) int { return copy(into, c.ColumnText(i)) }
