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
	var page store.Page
	err := db.readSnapshot(ctx, func(from querier) (err error) {
		page.Keys = []apikey.Key{}
		page.Total, err = db.list(ctx, from, q, func(rows *sql.Rows) error {
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
	list := func(ctx context.Context, from querier) (err error) {
		page, err = listIDs(ctx, from, q)
		if err == nil && len(page.IDs) == 0 { // then no row told how many there are
			page.Total, err = db.countKeys(ctx, from, q)
		}
		return err
	}
	if q.Offset > shallow {
		err = db.scan(ctx, func() error { return list(ctx, db.reader) })
		return page, err
	}
	err = db.read(ctx, func() error {
		brief, done := db.engine.brief(ctx)
		defer done()
		return list(brief, db.points)
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
func (db *DB) list(ctx context.Context, q querier, query store.Query, scan func(*sql.Rows) error) (int, error) {
	found, err := db.listKeys(ctx, q, query, scan)
	if err != nil {
		return 0, err
	}
	if found < query.Limit && (found > 0 || query.Offset == 0) {
		return query.Offset + found, nil // this is the last page
	}
	return db.countKeys(ctx, q, query)
}

// countKeys returns how many keys match. Without filters that is known, with them they
// are counted.
func (db *DB) countKeys(ctx context.Context, q querier, query store.Query) (total int, err error) {
	if query.IsPlain() {
		err = q.QueryRowContext(ctx,
			`SELECT coalesce((SELECT keys FROM key_counts WHERE owner = $1), 0)`, query.Owner).Scan(&total)
		return total, err
	}
	match := db.conditionsOf(query)
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM (`+match.ids()+`) AS matching`, match.args...).Scan(&total)
	return total, err
}

// listKeys has scan read each row of a page, and returns how many there were.
func (db *DB) listKeys(
	ctx context.Context, q querier, query store.Query, scan func(*sql.Rows) error,
) (found int, err error) {
	match := db.conditionsOf(query)
	text := `SELECT ` + keyColumns + ` FROM api_keys WHERE id IN (` + match.ids() +
		` ORDER BY id DESC LIMIT ` + match.arg(query.Limit) + ` OFFSET ` + match.arg(query.Offset) +
		`) ORDER BY id DESC`
	rows, err := q.QueryContext(ctx, text, match.args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for ; rows.Next(); found++ {
		if err := scan(rows); err != nil {
			return found, err
		}
	}
	return found, rows.Err()
}

// conditions are what rows must meet, and the arguments of the statement so far.
type conditions struct {
	all    []string
	except string // a query of ids that they must not have, or empty
	args   []any
}

func (db *DB) conditionsOf(q store.Query) *conditions {
	c := &conditions{}
	if q.Owner != everybody {
		c.add(`owner = ` + c.arg(q.Owner))
	}
	switch q.Status {
	case apikey.StatusRevoked:
		c.add(`revoked_at IS NOT NULL`)
	case apikey.StatusExpired:
		c.add(notRevoked)
		c.add(`expires_at <= ` + c.instant(q.At))
	case apikey.StatusActive:
		c.add(isActive(c.instant(q.At)))
	}
	if q.Rotating != nil {
		rotating := isRotating(c.instant(q.At))
		if !*q.Rotating {
			rotating = `NOT (` + rotating + `)`
		}
		c.add(rotating)
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
		db.addUnused(c, q)
	}
	return c
}

// addUnused adds that a key was neither created nor used from LastUsedBefore on.
func (db *DB) addUnused(c *conditions, q store.Query) {
	since := c.instant(q.LastUsedBefore)
	used := `SELECT id FROM key_uses WHERE last_used_at >= ` + since
	c.add(`created_at < ` + since)
	if q.Owner == everybody && db.engine.mergesExcept() {
		c.except = used // a look-up for each key takes more than twice as long
		return
	}
	c.add(`NOT EXISTS (` + used + ` AND key_uses.id = api_keys.id)`)
}

// notRevoked hides from SQLite that it is the condition of the index of names: it would go
// through keys in that order, and look each one up.
const notRevoked = `NOT (revoked_at IS NOT NULL)`

// isActive and isRotating are never NULL.
func isActive(at string) string { return `expires_at > ` + at + ` AND ` + notRevoked }

func isRotating(at string) string {
	return `coalesce(old_secret_until, 0) > ` + at + ` AND ` + isActive(at)
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

// ids is a query of the ids of keys that meet the conditions.
func (c *conditions) ids() string {
	text := `SELECT id FROM api_keys` + c.sql()
	if c.except != "" {
		text += ` EXCEPT ` + c.except
	}
	return text
}
