package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

// Keys implements store.Store.
func (db *DB) Keys(ctx context.Context, q store.Query) (store.Page, error) {
	var page store.Page
	err := db.readSnapshot(ctx, func(from querier) (err error) {
		page.Keys = make([]apikey.Key, 0, min(q.Limit, maxPrepaid))
		reader := newKeyReader()
		page.Total, page.More, err = db.list(ctx, from, q, func(r row) error {
			key, err := reader.read(r)
			page.Keys = append(page.Keys, key)
			return err
		})
		return err
	})
	return page, err
}

// maxPrepaid is for how many keys a list makes room at once.
const maxPrepaid = 100

// shallow is the offset up to which skipping keys takes negligible time.
const shallow = 1000

// KeyIDs implements store.Store.
func (db *DB) KeyIDs(ctx context.Context, q store.Query) (page store.IDPage, err error) {
	list := func(ctx context.Context, from querier) (err error) {
		page, err = db.listIDs(ctx, from, q)
		if err == nil && len(page.IDs) == 0 && q.After.IsZero() { // no row contained the total
			page.Total, err = db.countKeys(ctx, from, q, statuses{})
		}
		return err
	}
	if q.Offset > shallow {
		err = db.scan(ctx, func() error { return list(ctx, db.reader) })
		return page, err
	}
	err = db.read(ctx, func() error {
		brief, done := db.brief(ctx)
		defer done()
		return list(brief, db.points)
	})
	return page, err
}

// listIDs reads ids, each with the total number of keys, so that both are of one moment. Its only filter is
// Owner.
func (db *DB) listIDs(ctx context.Context, q querier, query store.Query) (store.IDPage, error) {
	page := store.IDPage{IDs: make([]apikey.ID, 0, query.Limit)}
	match, total := db.conditionsOf(query, statuses{}), `0`
	if query.After.IsZero() {
		total = `(` + countOf(match.arg(query.Owner)) + `)`
	}
	text := `SELECT id, ` + total + ` FROM api_keys` + match.sql() + match.page(query)
	err := q.each(ctx, func(r row) error {
		if page.More = len(page.IDs) == query.Limit; page.More {
			return sqlitefile.ErrEnough
		}
		var id apikey.ID
		err := r.Scan(idColumn{&id}, &page.Total)
		page.IDs = append(page.IDs, id)
		return err
	}, text, match.args...)
	return page, err
}

// list calls scan for each row of a page. It returns how many rows match in all, which it does not count with
// After, and whether more follow.
func (db *DB) list(
	ctx context.Context, q querier, query store.Query, scan func(row) error,
) (total int, more bool, err error) {
	status, err := statusesFor(ctx, q, query)
	if err != nil {
		return 0, false, err
	}
	found, more, err := db.listKeys(ctx, q, query, status, scan)
	switch {
	case err != nil || !query.After.IsZero():
		return 0, more, err
	case !more && (found > 0 || query.Offset == 0):
		return query.Offset + found, false, nil // this is the last page
	}
	total, err = db.countKeys(ctx, q, query, status)
	return total, more, err
}

// countKeys returns how many keys match. Without filters the number is stored; with filters, keys are counted.
func (db *DB) countKeys(ctx context.Context, q querier, query store.Query, status statuses) (total int, err error) {
	if query.IsPlain() {
		err = first(ctx, q, countOf(`$1`), query.Owner).Scan(&total)
		return total, err
	}
	return db.conditionsOf(query, status).count(ctx, q)
}

// count returns how many keys meet the conditions.
func (c *conditions) count(ctx context.Context, q querier) (total int, err error) {
	err = first(ctx, q, `SELECT count(*) FROM (`+c.counted()+`) AS matching`, c.args...).Scan(&total)
	return total, err
}

// listKeys calls scan for each row of a page, and returns how many there were. It asks for one row more, to find
// out whether more follow.
func (db *DB) listKeys(
	ctx context.Context, q querier, query store.Query, status statuses, scan func(row) error,
) (found int, more bool, err error) {
	match := db.conditionsOf(query, status)
	text := `SELECT ` + match.selected() + ` FROM ` + match.table() + match.sql() + match.page(query)
	if query.Offset > 0 || match.except != "" {
		// Skipped and left out keys are ids alone, which an index has.
		match = db.conditionsOf(query, status)
		text = `SELECT ` + match.selected() + ` FROM ` + match.table() + ` WHERE id IN (` + match.ids() + match.page(query) + `) ORDER BY id DESC`
	}
	err = q.each(ctx, func(r row) error {
		if more = found == query.Limit; more {
			return sqlitefile.ErrEnough
		}
		found++
		return scan(r)
	}, text, match.args...)
	return found, more, err
}

// conditions collects the conditions of a statement, and its arguments.
type conditions struct {
	all    []string
	either []string // of which one must hold as well, if there are any; no key meets two
	except string   // a query of the ids to leave out, or empty
	args   []any

	sessions bool // of keys of sessions
}

// table is what the conditions are about.
func (c *conditions) table() string {
	if c.sessions {
		return sessionKeys
	}
	return `api_keys`
}

// selected is what a keyReader reads from it.
func (c *conditions) selected() string {
	if c.sessions {
		return selectedSession
	}
	return keyColumns
}

func (db *DB) conditionsOf(q store.Query, status statuses) *conditions {
	c := &conditions{sessions: q.Sessions}
	if q.Owner != everybody {
		c.add(`owner = ` + c.arg(q.Owner))
	}
	if !q.After.IsZero() {
		c.add(`id < ` + c.arg(q.After[:]))
	}
	switch q.Status {
	case apikey.StatusRevoked:
		c.either = status.revoked()
	case apikey.StatusExpired:
		c.add(status.notRevoked())
		c.add(`expires_at <= ` + c.instant(q.At))
	case apikey.StatusActive:
		c.add(status.isActive(c.instant(q.At)))
	}
	if q.Enabled != nil {
		enabled := isSuspended
		if *q.Enabled {
			enabled = `suspended IS NULL`
		}
		c.add(enabled)
	}
	if q.Reason != "" {
		c.add(`revoked_at IS NOT NULL AND coalesce(nullif(revocation_reason, ''), '` +
			string(apikey.ReasonUnspecified) + `') = ` + c.arg(string(q.Reason)))
	}
	if q.Rotating != nil {
		rotating := status.isRotating(c.instant(q.At))
		if !*q.Rotating {
			rotating = `NOT (` + rotating + `)`
		}
		c.add(rotating)
	}
	if q.Foreign != nil {
		foreign := hasForeign(c.instant(q.At))
		if !*q.Foreign {
			foreign = `NOT (` + foreign + `)`
		}
		c.add(foreign)
	}
	if q.NameContains != "" {
		c.add(c.holds(`name`, q.NameContains))
	}
	if q.Scope != "" {
		c.add(c.holds(`' ' || scopes || ' '`, " "+q.Scope+" "))
	}
	for _, entry := range q.Metadata {
		c.add(c.holds(`',' || substr(metadata, 2)`, ","+metadataEntry(entry.Name, entry.Value)))
	}
	if q.Search != "" {
		c.addSearch(q.Search)
	}
	if !q.ExpiresBefore.IsZero() {
		c.add(`expires_at < ` + c.instant(q.ExpiresBefore))
	}
	if !q.LastUsedBefore.IsZero() {
		db.addUnused(c, q)
	}
	return c
}

// addUnused adds the condition that a key was neither created nor used since LastUsedBefore.
func (db *DB) addUnused(c *conditions, q store.Query) {
	since := c.instant(q.LastUsedBefore)
	used := `SELECT id FROM key_uses WHERE last_used_at >= ` + since
	c.add(`created_at < ` + since)
	if q.Owner == everybody && db.dialect.mergesExcept {
		c.except = used // looking up each key takes more than twice as long
		if !q.After.IsZero() {
			c.except += ` AND id < ` + c.arg(q.After[:])
		}
		return
	}
	c.add(`NOT EXISTS (` + used + ` AND key_uses.id = api_keys.id)`)
}

const isSuspended = `suspended IS NOT NULL` // no revoked key is

func (c *conditions) add(condition string) { c.all = append(c.all, condition) }

// arg adds an argument and returns its placeholder.
func (c *conditions) arg(value any) string {
	c.args = append(c.args, value)
	return fmt.Sprintf("$%d", len(c.args))
}

func (c *conditions) instant(t time.Time) string { return c.arg(millis(t)) }

// page ends a query of ids: one page and one more id.
func (c *conditions) page(q store.Query) string {
	text := ` ORDER BY id DESC LIMIT ` + c.arg(q.Limit+1)
	if q.Offset > 0 {
		text += ` OFFSET ` + c.arg(q.Offset)
	}
	return text
}

func (c *conditions) sql() string {
	all := c.all
	if len(c.either) > 0 {
		all = append(slices.Clone(all), `(`+strings.Join(c.either, ` OR `)+`)`)
	}
	return where(all)
}

func where(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return ` WHERE ` + strings.Join(all, ` AND `)
}

// ids returns a query of the ids of the keys that meet the conditions.
func (c *conditions) ids() string {
	return c.without(`SELECT id FROM ` + c.table() + c.sql())
}

// counted is ids in any order. SQLite uses an index for each alternative here, and for an OR it uses none.
func (c *conditions) counted() string {
	if len(c.either) == 0 {
		return c.ids()
	}
	var parts []string
	for _, one := range c.either {
		parts = append(parts, `SELECT id FROM `+c.table()+where(append(slices.Clone(c.all), one)))
	}
	return c.without(strings.Join(parts, ` UNION ALL `))
}

func (c *conditions) without(ids string) string {
	if c.except != "" {
		ids += ` EXCEPT ` + c.except
	}
	return ids
}
