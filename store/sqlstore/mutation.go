package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// mutation is a change to keys on behalf of an actor.
type mutation struct {
	*transaction
	now    time.Time // whole milliseconds, UTC
	actor  store.Actor
	acting *apikey.Key // the actor's key as it is now; nil for the operator
}

// mutate runs one change and its audit event in one transaction, and reads the actor's key inside it: nothing
// commits for a key after its revocation was answered.
func (db *DB) mutate(ctx context.Context, actor store.Actor, do func(*mutation) error) error {
	return db.write(ctx, func(t *transaction) error {
		m := db.newMutation(t, actor)
		if !actor.IsOperator() {
			acting, err := m.readActor(actor.Key)
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

func (db *DB) newMutation(t *transaction, actor store.Actor) *mutation {
	return &mutation{transaction: t, now: db.now().UTC().Truncate(time.Millisecond), actor: actor}
}

// write makes one change, which is durable and in force everywhere when write returns nil.
func (db *DB) write(ctx context.Context, do func(*transaction) error) error {
	return db.writer.submit(ctx, do)
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
func (m *mutation) findKey(ref store.Ref) (apikey.Key, error) {
	key, err := m.read(ref)
	if err == nil && m.acting != nil && m.acting.MayReach(key.Owner) != nil {
		return apikey.Key{}, store.ErrNotFound
	}
	return key, err
}

// maxActors is how many acting keys are cached.
const maxActors = 256

func (m *mutation) readActor(id apikey.ID) (apikey.Key, error) {
	if key, ok := m.actors[id]; ok {
		return key, nil
	}
	key, err := m.read(store.ByID(id))
	if err == nil {
		if len(m.actors) >= maxActors {
			clear(m.actors)
		}
		m.actors[id] = key
	}
	return key, err
}

func (m *mutation) read(ref store.Ref) (apikey.Key, error) {
	return findKey(context.Background(), m, ref, m.dialect.rowLock)
}

func (m *mutation) insertKey(k apikey.Key) error {
	m.changed, m.created = k.ID, k.Owner
	return m.exec(insertKey, insertArgs(&k)...)
}

func (m *mutation) updateKey(k apikey.Key) error {
	m.changed = k.ID
	delete(m.actors, k.ID)
	return m.exec(updateKey, updateArgs(&k)...)
}
