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
	// One transaction, so that the total and the page agree.
	tx, err := db.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return store.Page{}, during(ctx, err)
	}
	defer func() { _ = tx.Rollback() }() // it only read
	page, err := listKeys(ctx, tx, q)
	return page, during(ctx, err)
}

func listKeys(ctx context.Context, q querier, query store.Query) (store.Page, error) {
	where := conditionsOf(query)
	page := store.Page{Keys: []apikey.Key{}}
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM api_keys`+where.sql(), where.args...).Scan(&page.Total)
	if err != nil || query.Offset >= page.Total {
		return page, err
	}
	text := `SELECT ` + keyColumns + ` FROM api_keys` + where.sql() +
		` ORDER BY id DESC LIMIT ` + where.arg(query.Limit) + ` OFFSET ` + where.arg(query.Offset)
	rows, err := q.QueryContext(ctx, text, where.args...)
	if err != nil {
		return page, err
	}
	defer rows.Close()
	for rows.Next() {
		key, err := scanKey(rows)
		if err != nil {
			return page, err
		}
		page.Keys = append(page.Keys, key)
	}
	return page, rows.Err()
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
		c.add(`revoked_at IS NULL AND expires_at > ` + c.instant(q.At))
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
		c.add(`coalesce(last_used_at, created_at) < ` + c.instant(q.LastUsedBefore))
	}
	return c
}

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
