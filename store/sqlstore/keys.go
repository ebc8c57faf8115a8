package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

const keyColumns = `id, owner, name, prefix, scopes, secret_hash,
	created_at, expires_at, revoked_at, last_used_at`

// querier is a pool or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Key implements store.Store.
func (db *DB) Key(ctx context.Context, ref store.Ref) (apikey.Key, error) {
	key, err := findKey(ctx, db.reader, ref)
	return key, translate(ctx, err)
}

func findKey(ctx context.Context, q querier, ref store.Ref) (apikey.Key, error) {
	if !ref.ID.IsZero() {
		key, err := scanKey(q.QueryRowContext(ctx,
			`SELECT `+keyColumns+` FROM api_keys WHERE id = $1`, ref.ID[:]))
		if err == nil && ref.Owner != "" && key.Owner != ref.Owner {
			return apikey.Key{}, sql.ErrNoRows
		}
		return key, err
	}
	// Two queries rather than one with OR: each is one step down one index.
	key, err := scanKey(q.QueryRowContext(ctx,
		`SELECT `+keyColumns+` FROM api_keys
		WHERE owner = $1 AND name = $2 AND revoked_at IS NULL`, ref.Owner, ref.Name))
	if !errors.Is(err, sql.ErrNoRows) {
		return key, err
	}
	return scanKey(q.QueryRowContext(ctx,
		`SELECT `+keyColumns+` FROM api_keys
		WHERE owner = $1 AND name = $2 AND revoked_at IS NOT NULL
		ORDER BY revoked_at DESC, id DESC LIMIT 1`, ref.Owner, ref.Name))
}

// Keys implements store.Store.
func (db *DB) Keys(ctx context.Context, q store.Query) (store.Page, error) {
	// One transaction, so that the total and the page agree.
	tx, err := db.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return store.Page{}, translate(ctx, err)
	}
	defer func() { _ = tx.Rollback() }() // it only read
	page, err := listKeys(ctx, tx, q)
	return page, translate(ctx, err)
}

func listKeys(ctx context.Context, q querier, query store.Query) (store.Page, error) {
	where, args := "", []any{}
	if query.Owner != "" {
		where, args = " WHERE owner = $1", []any{query.Owner}
	}
	page := store.Page{Keys: []apikey.Key{}}
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM api_keys`+where, args...).Scan(&page.Total)
	if err != nil || query.Offset >= page.Total {
		return page, err
	}
	limits := ` ORDER BY id DESC LIMIT $1 OFFSET $2`
	if query.Owner != "" {
		limits = ` ORDER BY id DESC LIMIT $2 OFFSET $3`
	}
	rows, err := q.QueryContext(ctx, `SELECT `+keyColumns+` FROM api_keys`+where+limits,
		append(args, query.Limit, query.Offset)...)
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

// CreateKey implements store.Store.
func (db *DB) CreateKey(ctx context.Context, actor store.Actor, key apikey.Key) error {
	return db.mutate(ctx, actor, func(m *mutation) error {
		if err := m.allowed(func(acting apikey.Key) error { return acting.MayCreate(key) }); err != nil {
			return err
		}
		if err := m.insertKey(ctx, key); err != nil {
			return err
		}
		return m.audit(ctx, store.ActionCreate, key, nil)
	})
}

// UpdateKey implements store.Store.
func (db *DB) UpdateKey(
	ctx context.Context, actor store.Actor, ref store.Ref, change apikey.Change,
) (key apikey.Key, err error) {
	err = db.mutate(ctx, actor, func(m *mutation) error {
		if key, err = m.findKey(ctx, ref); err != nil {
			return err
		}
		if err := m.allowed(func(acting apikey.Key) error { return acting.MayChange(key, change) }); err != nil {
			return err
		}
		if key.IsRevoked() {
			return store.ErrRevoked
		}
		var changed []string
		if key, changed = key.Apply(change); len(changed) == 0 {
			return nil
		}
		if err := m.updateKey(ctx, key); err != nil {
			return err
		}
		return m.audit(ctx, store.ActionUpdate, key, changed)
	})
	return key, err
}

// RevokeKey implements store.Store.
func (db *DB) RevokeKey(ctx context.Context, actor store.Actor, ref store.Ref) (key apikey.Key, err error) {
	err = db.mutate(ctx, actor, func(m *mutation) error {
		if key, err = m.findKey(ctx, ref); err != nil {
			return err
		}
		if err := m.allowed(func(acting apikey.Key) error { return acting.MayManage(key) }); err != nil {
			return err
		}
		if key.IsRevoked() {
			return nil
		}
		key.RevokedAt = m.now
		if err := m.updateKey(ctx, key); err != nil {
			return err
		}
		return m.audit(ctx, store.ActionRevoke, key, nil)
	})
	return key, err
}

// RecordUses implements store.Store.
func (db *DB) RecordUses(ctx context.Context, uses map[apikey.ID]time.Time) error {
	if len(uses) == 0 {
		return nil
	}
	return db.write(ctx, func(tx *sql.Tx) error {
		stmt, err := tx.PrepareContext(ctx, `UPDATE api_keys SET last_used_at = $1
			WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)`)
		if err != nil {
			return err
		}
		defer stmt.Close()
		for id, at := range uses {
			if _, err := stmt.ExecContext(ctx, millis(at), id[:]); err != nil {
				return err
			}
		}
		return nil
	})
}

// scanKey reads keyColumns from a row.
func scanKey(row interface{ Scan(dest ...any) error }) (apikey.Key, error) {
	var (
		key                                apikey.Key
		id, hash                           []byte
		scopes                             string
		created, expires, revoked, lastUse sql.NullInt64
	)
	err := row.Scan(&id, &key.Owner, &key.Name, &key.Prefix, &scopes, &hash,
		&created, &expires, &revoked, &lastUse)
	if err != nil {
		return apikey.Key{}, err
	}
	copy(key.ID[:], id)
	copy(key.SecretHash[:], hash)
	key.Scopes = apikey.ParseScopes(scopes)
	key.CreatedAt = fromMillis(created)
	key.ExpiresAt = fromMillis(expires)
	key.RevokedAt = fromMillis(revoked)
	key.LastUsedAt = fromMillis(lastUse)
	return key, nil
}
