package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// mutation is a transaction that changes keys on behalf of an actor.
type mutation struct {
	tx     *sql.Tx
	now    time.Time // whole milliseconds, UTC
	actor  store.Actor
	acting *apikey.Key // the actor's key as it is now; nil for the operator
}

// mutate runs one change and its audit event as one transaction. The actor's key is
// read inside it: nothing commits for a key whose revocation was answered.
func (db *DB) mutate(ctx context.Context, actor store.Actor, do func(*mutation) error) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		m := db.newMutation(tx, actor)
		if !actor.IsOperator() {
			acting, err := findKey(ctx, tx, store.ByID(actor.Key))
			if errors.Is(err, sql.ErrNoRows) {
				return store.ErrActorGone
			}
			if err != nil {
				return err
			}
			if acting.Status(m.now) != apikey.StatusActive || !acting.Accepts(actor.Secret, m.now) {
				return store.ErrActorGone
			}
			m.acting = &acting
		}
		return do(m)
	})
}

func (db *DB) newMutation(tx *sql.Tx, actor store.Actor) *mutation {
	return &mutation{tx: tx, now: db.now().UTC().Truncate(time.Millisecond), actor: actor}
}

// write runs one transaction that is durable when write returns nil.
func (db *DB) write(ctx context.Context, do func(*sql.Tx) error) error {
	if err := db.files.present(); err != nil {
		return err
	}
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return translate(ctx, err)
	}
	if err := do(tx); err != nil {
		// The failure is the news; a rollback that fails as well adds nothing.
		_ = tx.Rollback()
		return translate(ctx, err)
	}
	if err := tx.Commit(); err != nil {
		return translate(ctx, err)
	}
	// A file that vanished meanwhile took this commit with it.
	return db.files.present()
}

// allowed applies a rule to the acting key. The operator may do everything.
func (m *mutation) allowed(rule func(acting apikey.Key) error) error {
	if m.acting == nil {
		return nil
	}
	if err := m.acting.MayWrite(); err != nil {
		return err
	}
	return rule(*m.acting)
}

// findKey finds a key within the acting key's reach.
func (m *mutation) findKey(ctx context.Context, ref store.Ref) (apikey.Key, error) {
	key, err := findKey(ctx, m.tx, ref)
	if err == nil && m.acting != nil && m.acting.MayReach(key.Owner) != nil {
		return apikey.Key{}, store.ErrNotFound
	}
	return key, err
}

func (m *mutation) insertKey(ctx context.Context, k apikey.Key) error {
	_, err := m.tx.ExecContext(ctx,
		`INSERT INTO api_keys (`+keyColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		k.ID[:], k.Owner, k.Name, k.Prefix, k.Scopes.String(), k.SecretHash[:],
		millis(k.CreatedAt), millis(k.ExpiresAt), millis(k.RevokedAt), millis(k.LastUsedAt),
		hashOrNull(k.OldSecretHash), millis(k.OldSecretUntil), metadataJSON(k.Metadata),
		numberOrNull(k.RateLimit.Limit), numberOrNull(int(k.RateLimit.Window/time.Second)))
	return err
}

func (m *mutation) updateKey(ctx context.Context, k apikey.Key) error {
	_, err := m.tx.ExecContext(ctx,
		`UPDATE api_keys SET name = $1, scopes = $2, expires_at = $3, revoked_at = $4, secret_hash = $5,
			old_secret_hash = $6, old_secret_until = $7, metadata = $8, rate_limit = $9, rate_window = $10
		WHERE id = $11`,
		k.Name, k.Scopes.String(), millis(k.ExpiresAt), millis(k.RevokedAt), k.SecretHash[:],
		hashOrNull(k.OldSecretHash), millis(k.OldSecretUntil), metadataJSON(k.Metadata),
		numberOrNull(k.RateLimit.Limit), numberOrNull(int(k.RateLimit.Window/time.Second)), k.ID[:])
	return err
}
