package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// Keys implements store.Store.
func (db *DB) Keys(ctx context.Context, q store.Query) (store.Page, error) {
	page := store.Page{Keys: []apikey.Key{}}
	err := db.read(ctx, func() (err error) {
		page.Total, err = db.list(ctx, q, func(rows *sql.Rows) error {
			key, err := scanKey(rows)
			page.Keys = append(page.Keys, key)
			return err
		})
		return err
	})
	return page, err
}

// shallow is up to where passing over keys takes no time worth watching.
const shallow = 1000

// KeyIDs implements store.Store.
func (db *DB) KeyIDs(ctx context.Context, q store.Query) (page store.IDPage, err error) {
	err = db.read(ctx, func() error {
		var from querier = db.reader
		if q.Offset <= shallow {
			brief, done := db.engine.brief(ctx)
			defer done()
			ctx, from = brief, db.points
		}
		page, err = listIDs(ctx, from, q)
		if err == nil && len(page.IDs) == 0 { // then no row told how many there are
			page.Total, err = countKeys(ctx, from, q)
		}
		return err
	})
	return page, err
}

// listIDs lists ids, and with each how many keys there are: so both are of one moment. Filters other than Owner are not for it.
func listIDs(ctx context.Context, q querier, query store.Query) (store.IDPage, error) {
	page := store.IDPage{IDs: make([]apikey.ID, 0, query.Limit)}
	const columns = `SELECT id, (SELECT keys FROM key_counts WHERE owner = $1) FROM api_keys `
	const order = ` ORDER BY id DESC LIMIT $2 OFFSET $3`
	text := columns + order
	if query.Owner != everybody {
		text = columns + `WHERE owner = $1` + order
	}
	rows, err := q.QueryContext(ctx, text, query.Owner, query.Limit, query.Offset)
	if err != nil {
		return page, err
	}
	defer rows.Close()
	for rows.Next() {
		var id sql.RawBytes
		if err := rows.Scan(&id, &page.Total); err != nil {
			return page, err
		}
		page.IDs = append(page.IDs, apikey.ID(id))
	}
	return page, rows.Err()
}

// list has scan read each row of a page, and returns how many rows match in all.
func (db *DB) list(ctx context.Context, q store.Query, scan func(*sql.Rows) error) (int, error) {
	// One transaction, so that the total and the page agree.
	tx, err := db.reader.BeginTx(ctx, db.engine.snapshot())
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // it only read
	total, err := countKeys(ctx, tx, q)
	if err != nil || q.Offset >= total {
		return total, err
	}
	return total, listKeys(ctx, tx, q, scan)
}

// countKeys returns how many keys match. Without filters that is known, with them they
// are counted.
func countKeys(ctx context.Context, q querier, query store.Query) (total int, err error) {
	if query.IsPlain() {
		err = q.QueryRowContext(ctx,
			`SELECT coalesce((SELECT keys FROM key_counts WHERE owner = $1), 0)`, query.Owner).Scan(&total)
		return total, err
	}
	where := conditionsOf(query)
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM api_keys`+where.sql(), where.args...).Scan(&total)
	return total, err
}

func listKeys(ctx context.Context, q querier, query store.Query, scan func(*sql.Rows) error) error {
	where := conditionsOf(query)
	text := `SELECT ` + keyColumns + ` FROM api_keys` + where.sql() +
		` ORDER BY id DESC LIMIT ` + where.arg(query.Limit) + ` OFFSET ` + where.arg(query.Offset)
	rows, err := q.QueryContext(ctx, text, where.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// conditions are what rows must meet, and the arguments of the statement so far.
type conditions struct {
	all  []string
	args []any
}

func conditionsOf(q store.Query) *conditions {
	c := &conditions{}
	if q.Owner != "" {
		c.add(`owner = ` + c.arg(q.Owner))
	}
	switch q.Status {
	case apikey.StatusRevoked:
		c.add(`revoked_at IS NOT NULL`)
	case apikey.StatusExpired:
		c.add(`revoked_at IS NULL AND expires_at <= ` + c.instant(q.At))
	case apikey.StatusActive:
		c.add(isActive(c.instant(q.At)))
	}
	if q.Rotating != nil {
		at := c.instant(q.At)
		c.add(`(` + isActive(at) + ` AND ` + isRotating(at) + `) = ` + c.arg(*q.Rotating))
	}
	if q.NameContains != "" {
		// No LIKE: it takes % and _ for more than they are, and differs between engines in
		// what it takes for the same letter.
		c.add(`replace(name, ` + c.arg(q.NameContains) + `, '') <> name`)
	}
	if !q.ExpiresBefore.IsZero() {
		c.add(`expires_at < ` + c.instant(q.ExpiresBefore))
	}
	if !q.LastUsedBefore.IsZero() {
		c.add(`coalesce(` + lastUsedAt + `, created_at) < ` + c.instant(q.LastUsedBefore))
	}
	return c
}

// isActive and isRotating are never NULL.
func isActive(at string) string { return `revoked_at IS NULL AND expires_at > ` + at }

func isRotating(at string) string { return `coalesce(old_secret_until, 0) > ` + at }

func (c *conditions) add(condition string) { c.all = append(c.all, condition) }

// arg adds an argument and returns its place in the statement.
func (c *conditions) arg(value any) string {
	c.args = append(c.args, value)
	return fmt.Sprintf("$%d", len(c.args))
}

func (c *conditions) instant(t time.Time) string { return c.arg(millis(t)) }

func (c *conditions) sql() string {
	if len(c.all) == 0 {
		return ""
	}
	return ` WHERE ` + strings.Join(c.all, ` AND `)
}
