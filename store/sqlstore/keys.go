package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// Key implements store.Store.
func (db *DB) Key(ctx context.Context, ref store.Ref) (key apikey.Key, err error) {
	err = db.lookUp(ctx, func(ctx context.Context) error {
		key, err = findKey(ctx, db.points, ref, "")
		return err
	})
	return key, err
}

func findKey(ctx context.Context, q querier, ref store.Ref, rowLock string) (apikey.Key, error) {
	if !ref.ID.IsZero() {
		if ref.ID.IsSession() {
			key, err := findSession(ctx, q, ref.ID, rowLock)
			if err == nil && ref.Owner != "" && key.Owner != ref.Owner {
				err = sql.ErrNoRows
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return key, err
			}
		}
		// The nearest key up to the id: a row is read whether the id exists or not, so timing does not reveal
		// which ids exist.
		key, err := newKeyReader().read(first(ctx, q,
			`SELECT `+keyColumns+` FROM api_keys WHERE id <= $1 ORDER BY id DESC LIMIT 1`+rowLock, ref.ID[:]))
		if err == nil && (key.ID != ref.ID || ref.Owner != "" && key.Owner != ref.Owner) {
			return apikey.Key{}, sql.ErrNoRows
		}
		return key, err
	}
	// Two queries instead of one with OR: each is one descent of one index.
	key, err := newKeyReader().read(first(ctx, q,
		`SELECT `+keyColumns+` FROM api_keys
		WHERE owner = $1 AND name = $2 AND revoked_at IS NULL`+rowLock, ref.Owner, ref.Name))
	if !errors.Is(err, sql.ErrNoRows) {
		return key, err
	}
	return newKeyReader().read(first(ctx, q,
		`SELECT `+keyColumns+` FROM api_keys
		WHERE owner = $1 AND name = $2 AND revoked_at IS NOT NULL
		ORDER BY revoked_at DESC, id DESC LIMIT 1`+rowLock, ref.Owner, ref.Name))
}

// CreateKey implements store.Store.
func (db *DB) CreateKey(ctx context.Context, actor store.Actor, key apikey.Key) error {
	return db.mutateIn(ctx, actor, key.Owner, func(m *mutation) error {
		if err := m.allowed(func(acting apikey.Key) error { return acting.MayCreate(key) }); err != nil {
			return err
		}
		if err := m.needRoom(key.Owner); err != nil {
			return err
		}
		if err := m.insertKey(key); err != nil {
			return err
		}
		return m.audit(store.ActionCreate, &key, key.Difference(nil, m.now))
	})
}

// UpdateKey implements store.Store.
func (db *DB) UpdateKey(
	ctx context.Context, actor store.Actor, ref store.Ref, change apikey.Change,
) (key apikey.Key, err error) {
	err = db.mutateKey(ctx, actor, ref, func(m *mutation, found apikey.Key) error {
		key = found
		if err := m.allowed(func(acting apikey.Key) error { return acting.MayChange(key, change) }); err != nil {
			return err
		}
		if err := key.CheckNoSession(); err != nil {
			return err
		}
		if key.IsRevoked() {
			return store.ErrRevoked
		}
		before := key
		key = key.Apply(change)
		changes := key.Difference(&before, m.now)
		if len(changes) == 0 {
			return nil
		}
		if !before.ExpiresAt.After(m.now) && key.ExpiresAt.After(m.now) { // else PATCH would get around the bound
			if err := m.needRoom(key.Owner); err != nil {
				return err
			}
		}
		if err := m.updateKey(key); err != nil {
			return err
		}
		return m.audit(store.ActionUpdate, &key, changes)
	})
	return key, err
}

// RevokeKey implements store.Store.
func (db *DB) RevokeKey(
	ctx context.Context, actor store.Actor, ref store.Ref, reason apikey.Reason,
) (key apikey.Key, err error) {
	err = db.mutateKey(ctx, actor, ref, func(m *mutation, found apikey.Key) error {
		key = found
		if err := m.allowed(func(acting apikey.Key) error { return acting.MayManage(key) }); err != nil {
			return err
		}
		if key.IsRevoked() {
			return nil
		}
		before := key
		key = key.Revoke(m.now, reason)
		if err := m.updateKey(key); err != nil {
			return err
		}
		return m.audit(store.ActionRevoke, &key, key.Difference(&before, m.now))
	})
	return key, err
}

// RotateKey implements store.Store.
func (db *DB) RotateKey(
	ctx context.Context, actor store.Actor, ref store.Ref, rotation apikey.Rotation,
) (key apikey.Key, err error) {
	err = db.mutateKey(ctx, actor, ref, func(m *mutation, found apikey.Key) error {
		key = found
		if err := m.allowed(func(acting apikey.Key) error { return acting.MayManage(key) }); err != nil {
			return err
		}
		if err := key.CheckNoSession(); err != nil {
			return err
		}
		switch {
		case key.IsRevoked():
			return store.ErrRevoked
		case !key.SecretHash.Equal(rotation.From):
			return store.ErrRotated
		}
		before := key
		key = key.Rotate(rotation, m.now)
		if err := m.updateKey(key); err != nil {
			return err
		}
		return m.audit(store.ActionRotate, &key, key.Difference(&before, m.now))
	})
	return key, err
}

// EndSecret implements store.Store.
func (db *DB) EndSecret(ctx context.Context, actor store.Actor) (key apikey.Key, err error) {
	err = db.write(ctx, func(t *transaction) error {
		m := db.newMutation(t, actor)
		if key, err = m.read(store.ByID(actor.Key)); err != nil {
			return err
		}
		if key.IsRevoked() || !key.Accepts(actor.Secret, m.now) {
			return store.ErrNotFound
		}
		before := key
		if key.SecretHash.Equal(actor.Secret) {
			key = key.Revoke(m.now, apikey.ReasonKeyCompromise)
		}
		key = key.EndGrace()
		if err := m.updateKey(key); err != nil {
			return err
		}
		return m.audit(store.ActionLeak, &key, key.Difference(&before, m.now))
	})
	return key, err
}

// outsideEvery is how often the use of a key from outside its observed networks is recorded.
const outsideEvery = time.Hour

// RecordOutside implements store.Store.
func (db *DB) RecordOutside(ctx context.Context, id apikey.ID, address string) error {
	return db.writer.background(ctx, func(t *transaction) error {
		m := db.newMutation(t, store.Actor{Key: id, Via: "http", Address: address})
		key, err := m.read(store.ByID(id))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil || key.IsRevoked() || len(key.ObserveCIDRs) == 0 {
			return err
		}
		recent, err := listEvents(ctx, m, store.EventQuery{
			Key: id, Action: store.ActionOutside, Since: m.now.Add(-outsideEvery + time.Millisecond), Limit: 1,
		})
		if err != nil || len(recent) > 0 {
			return err
		}
		m.changed = id // nodes must hear of every event
		return m.audit(store.ActionOutside, &key, nil)
	})
}
