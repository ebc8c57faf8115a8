package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

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

// RotateKey implements store.Store.
func (db *DB) RotateKey(
	ctx context.Context, actor store.Actor, ref store.Ref, rotation apikey.Rotation,
) (key apikey.Key, err error) {
	err = db.mutate(ctx, actor, func(m *mutation) error {
		if key, err = m.findKey(ctx, ref); err != nil {
			return err
		}
		if err := m.allowed(func(acting apikey.Key) error { return acting.MayManage(key) }); err != nil {
			return err
		}
		switch {
		case key.IsRevoked():
			return store.ErrRevoked
		case !key.SecretHash.Equal(rotation.From):
			return store.ErrRotated
		}
		key = key.Rotate(rotation, m.now)
		if err := m.updateKey(ctx, key); err != nil {
			return err
		}
		return m.audit(ctx, store.ActionRotate, key, nil)
	})
	return key, err
}

// EndSecret implements store.Store.
func (db *DB) EndSecret(ctx context.Context, actor store.Actor) (key apikey.Key, err error) {
	err = db.write(ctx, func(tx *sql.Tx) error {
		m := db.newMutation(tx, actor)
		if key, err = findKey(ctx, tx, store.ByID(actor.Key)); err != nil {
			return err
		}
		if key.IsRevoked() || !key.Accepts(actor.Secret, m.now) {
			return store.ErrNotFound
		}
		changed := "grace_ends_at"
		if key.SecretHash.Equal(actor.Secret) {
			key.RevokedAt, changed = m.now, "revoked_at"
		}
		key = key.EndGrace()
		if err := m.updateKey(ctx, key); err != nil {
			return err
		}
		return m.audit(ctx, store.ActionLeak, key, []string{changed})
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
