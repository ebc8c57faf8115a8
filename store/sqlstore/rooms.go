package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// maxRooms is how many owners' rooms are cached between transactions.
const maxRooms = 4096

// rooms caches how many keys owners may have. It is cached like the actors.
type rooms map[string]*room

// room is how many keys one owner may have, and has.
type room struct {
	max    int  // the owner's own bound; 0 for none
	ever   int  // keys that the owner had when this was read, of any status
	added  int  // keys that the writer created since
	locked bool // until the end of the transaction no other writer adds to the owner's keys

	// full is a number of keys that the owner has until then, neither revoked nor expired.
	full  int
	until time.Time
}

func (r rooms) created(owner string) {
	if room := r[owner]; room != nil {
		room.added++
	}
}

// changed forgets how many keys there are of an owner one of whose keys changed.
func (r rooms) changed(owner string) {
	if room := r[owner]; room != nil {
		room.full = 0
	}
}

// bound sets an owner's own bound.
func (r rooms) bound(owner string, most int) {
	if room := r[owner]; room != nil {
		room.max = most
	}
}

// limit clears the cache if it is too large. It must not run within a transaction, which writes the stored numbers of keys
// at its end.
func (r rooms) limit() {
	if len(r) >= maxRooms {
		clear(r)
	}
}

// needRoom returns store.ErrTooManyKeys if the owner has as many keys as it may have that are neither revoked nor
// expired. Suspended ones count: they can be enabled again.
func (m *mutation) needRoom(owner string) error {
	r := m.rooms[owner]
	if r == nil {
		r = &room{}
		if err := m.readRoom(owner, r); err != nil {
			return err
		}
		m.rooms[owner] = r
	}
	most := m.mostKeys(r)
	if most > 0 && !r.locked && m.dialect.lockChange != "" {
		if err := m.exec(m.dialect.lockChange, ^lockNumber(apikey.OwnerID(owner))); err != nil {
			return err
		}
		r.locked = true
		if err := m.readRoom(owner, r); err != nil { // what others committed meanwhile
			return err
		}
		most = m.mostKeys(r)
	}
	switch {
	case most == 0, r.ever+r.added < most:
		return nil
	case r.full >= most && m.now.Before(r.until):
		return store.ErrTooManyKeys
	}
	return m.countRoom(owner, r, most)
}

// mostKeys returns how many keys the owner may have when this actor adds one; 0 is unlimited.
func (m *mutation) mostKeys(r *room) int {
	if r.max == 0 && m.acting != nil && !m.acting.Scopes.Has(apikey.ScopeAdmin) {
		return m.defaultMaxKeys
	}
	return r.max
}

func (m *mutation) readRoom(owner string, r *room) error {
	var own sql.NullInt64
	err := first(context.Background(), m, `SELECT (SELECT max_keys FROM owners WHERE owner = $1), (`+countOf(`$1`)+`)`, owner).
		Scan(&own, &r.ever)
	r.max = int(own.Int64)
	return err
}

// living counts an owner's keys that are neither revoked nor expired, up to a limit.
const living = `SELECT count(*), min(expires_at) FROM (
		SELECT expires_at FROM api_keys WHERE owner = $1 AND revoked_at IS NULL AND expires_at > $2 LIMIT $3
	) AS living`

// Room implements store.Owners.
func (db *DB) Room(ctx context.Context, name string, at time.Time) (room int, bounded bool, err error) {
	settings, _, err := db.OwnerSettings(ctx, name)
	if err != nil || settings.MaxKeys == 0 {
		return 0, false, err
	}
	err = db.read(ctx, func() error {
		var found int
		var until sql.NullInt64
		err := first(ctx, db.points, living, name, at.UnixMilli(), settings.MaxKeys).Scan(&found, &until)
		room = settings.MaxKeys - found
		return err
	})
	return room, true, err
}

// countRoom counts keys, but no more than the owner may have.
func (m *mutation) countRoom(owner string, r *room, most int) error {
	var found int
	var until sql.NullInt64
	err := first(context.Background(), m, living, owner, m.now.UnixMilli(), most).Scan(&found, &until)
	if err != nil || found < most {
		return err
	}
	r.full, r.until = most, fromMillis(until)
	return store.ErrTooManyKeys
}
