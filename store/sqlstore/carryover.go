package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// The reasons for which a database does not know what happened after a backup.
var (
	ErrEarlier   = errors.New("it ends before the backup was made, so it does not know what came after")
	ErrUnrelated = errors.New("it has none of the backup's keys, so the backup was not made from it")
)

// readableSchema is the oldest schema whose keys can be read.
const readableSchema = 4

// CarriedOver counts what a restored database took over.
type CarriedOver struct {
	Revoked int // keys
	Rotated int // keys with another secret, or without the old one
	Reduced int // keys that end earlier, lost scopes or networks, or were suspended
	Unknown int // keys that are not in the backup, and are lost
	Lost    int // keys that were rotated, and are revoked because the source does not have their new secret
	Missing int // keys of the backup that the source does not have, so what happened to them is unknown
	Owners  int // that were suspended, or got a lower limit
}

// Ended is how many keys and owners were changed.
func (c CarriedOver) Ended() int { return c.Revoked + c.Rotated + c.Reduced + c.Owners }

// Add adds the keys that another source changed after this one.
func (c *CarriedOver) Add(more CarriedOver) {
	c.Revoked += more.Revoked
	c.Rotated += more.Rotated
	c.Reduced += more.Reduced
	c.Owners += more.Owners
}

// OpenRestored opens the copy of a backup, and brings its schema up to date; knows is the time of the backup's last
// event. No other process may use the file yet. After Close, the caller must call sqlitefile.Detach.
func OpenRestored(ctx context.Context, path string, knows time.Time) (*DB, error) {
	db, err := Open(ctx, Options{Path: path, Serve: true})
	if err != nil {
		return nil, err
	}
	// The notes of the database from which the backup was made, about a first start or a restore of its own, do
	// not concern this one.
	err = errors.Join(db.ForgetFirstKeys(ctx), db.ForgetRestored(ctx))
	// The backup itself is the last one. It was made before it could be noted in it, at knows or later.
	last, _ := db.LastBackup(ctx) // a note that cannot be read is replaced
	if err == nil && last.Before(knows) {
		err = db.noteBackup(ctx, knows)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// CarryOver repeats in a restored database everything that ended something after the backup: revocations,
// suspensions, rotations, leak reports, earlier ends of keys, lost scopes and networks, and lower limits of owners. It
// takes them from the database that the backup was made from, as it was later; knows is the time of the backup's last
// event. The actor is the operator.
func (db *DB) CarryOver(ctx context.Context, actor store.Actor, from *Examination, knows time.Time) (CarriedOver, error) {
	var done CarriedOver
	if from.version < readableSchema {
		return done, store.ErrNotMigrated
	}
	contents, err := from.Contents(ctx)
	if err != nil {
		return done, err
	}
	if contents.Last.Before(knows) {
		return done, ErrEarlier
	}
	page, err := db.Keys(ctx, store.Query{Limit: 1})
	if err != nil {
		return done, err
	}
	done.Missing = page.Total
	err = from.someKeys(ctx, func(later []apikey.Key) error {
		keys, err := db.keysBetween(ctx, later[0].ID, later[len(later)-1].ID)
		if err != nil {
			return err
		}
		ended := make([]apikey.Key, 0, len(later))
		for _, key := range later {
			before, is := keys[key.ID]
			if !is {
				done.Unknown++
				continue
			}
			done.Missing--
			if done.add(before, endedBy(before, key)) {
				ended = append(ended, key)
			}
		}
		return db.endAll(ctx, actor, ended)
	})
	if err == nil && page.Total > 0 && done.Missing == page.Total {
		err = ErrUnrelated
	}
	if err != nil {
		return done, err
	}
	err = from.eachOwner(ctx, func(later apikey.Owner) error { return db.narrow(ctx, actor, later, &done) })
	return done, err
}

// narrow gives an owner its later limits where they are stricter, and counts it if that changes anything.
func (db *DB) narrow(ctx context.Context, actor store.Actor, later apikey.Owner, done *CarriedOver) error {
	changed := false
	err := db.mutate(ctx, actor, func(m *mutation) error {
		before, err := findOwner(context.Background(), m, later.Name)
		if err != nil {
			return err
		}
		owner := before
		owner.OwnerSettings = before.Narrowed(later.OwnerSettings)
		if changed = len(owner.Difference(before)) > 0; !changed {
			return nil
		}
		return m.updateOwner(before, owner)
	})
	if err == nil && changed {
		done.Owners++
	}
	return err
}

// endedBy returns a key of the backup as it is after everything that ended something of it later.
func endedBy(key, later apikey.Key) apikey.Key {
	if !later.SecretHash.Equal(key.SecretHash) || later.OldSecretUntil.IsZero() ||
		later.OldSecretHash.Equal(key.OldSecretHash) && later.OldSecretUntil.Before(key.OldSecretUntil) {
		key.SecretHash, key.OldSecretHash, key.OldSecretUntil = later.SecretHash, later.OldSecretHash, later.OldSecretUntil
		key.Foreign, key.RotatedAt = later.Foreign, later.RotatedAt
	}
	switch {
	case key.IsRevoked():
	case later.IsRevoked():
		key = key.Revoke(later.RevokedAt, later.RevocationReason)
	case later.Suspended:
		key.Suspended = true
	}
	if later.ExpiresAt.Before(key.ExpiresAt) {
		key.ExpiresAt = later.ExpiresAt
	}
	key.AllowedCIDRs = key.AllowedCIDRs.Narrowed(later.AllowedCIDRs)
	if len(later.Scopes.Missing(key.Scopes)) > 0 {
		key.Scopes = later.Scopes
	}
	return key
}

// endingOf returns the action that makes the change of endedBy, or "" if nothing changed.
func endingOf(before, after apikey.Key) string {
	switch {
	case !before.RevokedAt.Equal(after.RevokedAt):
		return store.ActionRevoke
	case !before.SecretHash.Equal(after.SecretHash):
		return store.ActionRotate
	case !before.OldSecretUntil.Equal(after.OldSecretUntil):
		return store.ActionLeak
	case before.Suspended != after.Suspended, !before.ExpiresAt.Equal(after.ExpiresAt),
		!slices.Equal(before.Scopes, after.Scopes), !before.AllowedCIDRs.Equal(after.AllowedCIDRs):
		return store.ActionUpdate
	}
	return ""
}

// add counts what changed about a key, and reports whether anything did.
func (c *CarriedOver) add(before, after apikey.Key) bool {
	switch endingOf(before, after) {
	case store.ActionRevoke:
		c.Revoked++
	case store.ActionRotate, store.ActionLeak:
		c.Rotated++
	case store.ActionUpdate:
		c.Reduced++
	default:
		return false
	}
	return true
}

// keysBetween returns the keys with ids from first to last.
func (db *DB) keysBetween(ctx context.Context, first, last apikey.ID) (map[apikey.ID]apikey.Key, error) {
	keys := make(map[apikey.ID]apikey.Key)
	reader := newKeyReader()
	err := db.read(ctx, func() error {
		return db.reader.each(ctx, func(r row) error {
			key, err := reader.read(r)
			keys[key.ID] = key
			return err
		}, `SELECT `+keyColumns+` FROM api_keys WHERE id >= $1 AND id <= $2`, first[:], last[:])
	})
	return keys, err
}

// endedAtOnce is how many keys one transaction changes.
const endedAtOnce = 256

func (db *DB) endAll(ctx context.Context, actor store.Actor, later []apikey.Key) error {
	for some := range slices.Chunk(later, endedAtOnce) {
		err := db.mutate(ctx, actor, func(m *mutation) error {
			for _, key := range some {
				if err := m.end(key); err != nil {
					return fmt.Errorf("key %s: %w", key.ID, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// end changes one key as endedBy says, and writes the event.
func (m *mutation) end(later apikey.Key) error {
	before, err := m.read(store.ByID(later.ID))
	if err != nil {
		return err
	}
	after := endedBy(before, later)
	if err := m.updateKey(after); err != nil {
		return err
	}
	return m.audit(cmp.Or(endingOf(before, after), store.ActionUpdate), &after, after.Difference(&before, m.now))
}
