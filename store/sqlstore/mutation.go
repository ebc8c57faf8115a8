package sqlstore

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"net/netip"
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
	return db.mutateIn(ctx, actor, "", do)
}

// mutateIn is mutate for a change that may add to an owner's keys.
func (db *DB) mutateIn(ctx context.Context, actor store.Actor, owner string, do func(*mutation) error) error {
	return db.writer.submitFor(ctx, owner, func(t *transaction) error {
		m := db.newMutation(t, actor)
		if err := m.act(); err != nil {
			return err
		}
		return do(m)
	})
}

// mutateKey is mutate for a change of one key, which must be within the acting key's reach. It locks that key before
// the acting one: a key that changes itself on two nodes would have both wait for each other.
func (db *DB) mutateKey(
	ctx context.Context, actor store.Actor, ref store.Ref, do func(*mutation, apikey.Key) error,
) error {
	return db.write(ctx, func(t *transaction) error {
		m := db.newMutation(t, actor)
		key, missing := m.read(ref)
		if missing != nil && !errors.Is(missing, sql.ErrNoRows) {
			return missing
		}
		if err := m.act(); err != nil {
			return err
		}
		if missing != nil || m.acting != nil && m.acting.MayReach(key.Owner) != nil {
			return store.ErrNotFound
		}
		if !ref.Match.Allows(&key) {
			return store.ErrChanged
		}
		return do(m, key)
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

// act reads the actor's key, and refuses one that is no longer valid.
func (m *mutation) act() error {
	if m.actor.IsOperator() {
		return nil
	}
	acting, err := m.readActor(m.actor.Key)
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrActorGone
	}
	if err != nil {
		return err
	}
	if acting.owner.Suspended || acting.Status(m.now) != apikey.StatusActive || !acting.Accepts(m.actor.Secret, m.now) ||
		!m.mayActFromThere(acting.AllowedCIDRs) || !m.mayActFromThere(acting.owner.AllowedCIDRs) {
		return store.ErrActorGone
	}
	m.acting = &acting.Key
	return nil
}

// mayActFromThere reports whether a list of networks lets the actor's address pass. An empty list lets every address
// pass.
func (m *mutation) mayActFromThere(networks apikey.CIDRs) bool {
	if len(networks) == 0 {
		return true
	}
	from, err := netip.ParseAddr(m.actor.Address)
	return err == nil && networks.Contain(from)
}

// maxActors is how many acting keys are cached.
const maxActors = 256

// actor is an acting key.
type actor struct {
	apikey.Key
	owner apikey.OwnerSettings
}

func (m *mutation) readActor(id apikey.ID) (a actor, err error) {
	if a, ok := m.actors[id]; ok {
		return a, nil
	}
	// Without a lock on the row, which many writers share.
	if err := m.lock(m.dialect.lockActor, id); err != nil {
		return a, err
	}
	if a.Key, err = findKey(context.Background(), m, store.ByID(id), ""); err != nil {
		return a, err
	}
	// So that a suspension waits for the changes of the owner's keys that are under way.
	if err := m.lock(m.dialect.lockActor, apikey.OwnerID(a.Owner)); err != nil {
		return a, err
	}
	owner, err := findOwner(context.Background(), m, a.Owner)
	if err != nil {
		return a, err
	}
	a.owner = owner.OwnerSettings
	if len(m.actors) >= maxActors {
		clear(m.actors)
	}
	m.actors[id] = a
	return a, nil
}

// lock runs lockActor or lockChange.
func (m *mutation) lock(statement string, id apikey.ID) error {
	if statement == "" {
		return nil
	}
	return m.exec(statement, lockNumber(id))
}

// lockNumber is the random half of an id.
func lockNumber(id apikey.ID) int64 { return int64(binary.BigEndian.Uint64(id[8:])) } //nolint:gosec // any number will do

// read reads a key that will be changed, and locks it.
func (m *mutation) read(ref store.Ref) (apikey.Key, error) {
	key, err := findKey(context.Background(), m, ref, m.dialect.rowLock)
	if err == nil {
		err = m.lock(m.dialect.lockChange, key.ID)
	}
	return key, err
}

func (m *mutation) insertKey(k apikey.Key) error {
	m.changed, m.created = k.ID, k.Owner
	m.rooms.created(k.Owner)
	return m.exec(insertKey, columns.values(&k)...)
}

// updateKey writes a key that read has locked.
func (m *mutation) updateKey(k apikey.Key) error {
	if k.Session != "" {
		return m.updateSession(k)
	}
	m.changed = k.ID
	delete(m.actors, k.ID)
	m.rooms.changed(k.Owner)
	return m.exec(updateKey, updateArgs(&k)...)
}
