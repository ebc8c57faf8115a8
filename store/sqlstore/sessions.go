package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// sessionColumns are the columns of session_keys that api_keys has too.
var sessionColumns = slices.DeleteFunc(slices.Clone(columns), func(c columnOf[apikey.Key]) bool {
	return !slices.Contains([]string{
		"id", "owner", "name", "prefix", "scopes", "secret_hash", "created_at", "expires_at", "revoked_at", "revocation_reason",
		"metadata", "rate_limit", "rate_window", "quota_limit", "quota_period", "quota_starts_on", "allowed_cidrs",
	}, c.name)
})

// insertedSession are the columns of session_keys, and insertSession inserts a row of them.
var (
	insertedSession = append(slices.Clip(sessionColumns),
		columnOf[apikey.Key]{name: sessionKind, of: func(k *apikey.Key) stored { return textColumn{(*string)(&k.Session)} }})
	insertSession = insertedSession.insert("session_keys")
)

// sessionKeys stands in for api_keys in a query of sessions' keys.
var sessionKeys = `(SELECT ` + sessionTableColumns() + ` FROM session_keys) AS api_keys`

func sessionTableColumns() string {
	names := []string{"session"}
	for _, c := range columns {
		if slices.ContainsFunc(sessionColumns, func(s columnOf[apikey.Key]) bool { return s.name == c.name }) {
			names = append(names, c.name)
		} else {
			names = append(names, `CAST(NULL AS BIGINT) AS `+c.name) // filters compare it with numbers
		}
	}
	return strings.Join(names, ", ")
}

// selectedSession is keyColumns for session_keys.
var selectedSession = selectedColumnsAnd(sessionKind, allColumns)

// sessionKind is the column of a session's kind.
const sessionKind = `session`

// findSession reads the key of a session.
func findSession(ctx context.Context, q querier, id apikey.ID, rowLock string) (apikey.Key, error) {
	if rowLock != "" { // a derived table cannot be locked
		var found []byte
		err := first(ctx, q, `SELECT id FROM session_keys WHERE id = $1`+rowLock, id[:]).Scan(&found)
		if err != nil {
			return apikey.Key{}, err
		}
	}
	return newKeyReader().read(first(ctx, q, `SELECT `+selectedSession+` FROM `+sessionKeys+` WHERE id = $1`, id[:]))
}

// StartSession implements store.Sessions.
func (db *DB) StartSession(ctx context.Context, actor store.Actor, key apikey.Key) error {
	return db.mutate(ctx, actor, func(m *mutation) error {
		if m.acting != nil {
			return &apikey.DeniedError{Reason: "no key starts a session"}
		}
		return m.startSession(key)
	})
}

func (m *mutation) startSession(key apikey.Key) error {
	m.changed = key.ID
	if err := m.exec(insertSession, insertedSession.values(&key)...); err != nil {
		return err
	}
	return m.audit(store.ActionSession, &key, key.Difference(nil, m.now))
}

// updateSession writes what can change of a session's key.
func (m *mutation) updateSession(k apikey.Key) error {
	m.changed = k.ID
	delete(m.actors, k.ID)
	return m.exec(`UPDATE session_keys SET revoked_at = $1, revocation_reason = $2 WHERE id = $3`,
		millis(k.RevokedAt), string(k.RevocationReason), k.ID[:])
}

// EndSession implements store.Sessions.
func (db *DB) EndSession(ctx context.Context, actor store.Actor) error {
	return db.mutateKey(ctx, actor, store.ByID(actor.Key), func(m *mutation, key apikey.Key) error {
		if key.Session == "" {
			return store.ErrNotFound
		}
		before := key
		key = key.Revoke(m.now, apikey.ReasonNoLongerUsed)
		if err := m.updateSession(key); err != nil {
			return err
		}
		return m.audit(store.ActionRevoke, &key, key.Difference(&before, m.now))
	})
}

const linkColumns = `id, token_hash, creator, owner, name, scopes, metadata, until, seconds`

// CreateLink implements store.Sessions.
func (db *DB) CreateLink(ctx context.Context, actor store.Actor, l apikey.Link) error {
	return db.mutate(ctx, actor, func(m *mutation) error {
		if err := m.allowed(func(acting apikey.Key) error { return acting.MayLink(l) }); err != nil {
			return err
		}
		err := m.exec(`INSERT INTO owner_links (`+linkColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			l.ID[:], l.Token[:], nullID(actor.Key), l.Owner, l.Name, l.Scopes.String(), metadataColumn{&l.Metadata}.value(),
			millis(l.Until), int64(l.Lasts/time.Second))
		if err != nil {
			return err
		}
		key := apikey.Key{ID: l.ID, Settings: apikey.Settings{Owner: l.Owner, Name: l.Name, Scopes: l.Scopes, Metadata: l.Metadata}}
		return m.audit(store.ActionCreateLink, &key, key.Difference(nil, m.now))
	})
}

// OpenLink implements store.Sessions.
func (db *DB) OpenLink(
	ctx context.Context, actor store.Actor, id apikey.ID, token apikey.Hash, start func(apikey.Link, *apikey.Key) (apikey.Key, error),
) error {
	// Guesses never reach the writer.
	err := db.lookUp(ctx, func(ctx context.Context) error {
		_, _, err := findLink(ctx, db.points, id, token, "")
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return apikey.ErrNoLink
	}
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *transaction) error {
		m := db.newMutation(t, actor)
		link, creator, err := findLink(context.Background(), m, id, token, m.dialect.rowLock)
		if errors.Is(err, sql.ErrNoRows) {
			return apikey.ErrNoLink
		}
		if err != nil {
			return err
		}
		if err := m.linkedBy(creator, link); err != nil {
			return err
		}
		key, err := start(link, m.acting)
		if err != nil {
			return err
		}
		if err := m.exec(`DELETE FROM owner_links WHERE id = $1`, id[:]); err != nil {
			return err
		}
		return m.startSession(key)
	})
}

func findLink(ctx context.Context, q querier, id apikey.ID, token apikey.Hash, rowLock string) (l apikey.Link, creator apikey.ID, err error) {
	var seconds int
	err = first(ctx, q, `SELECT `+linkColumns+` FROM owner_links WHERE id = $1`+rowLock, id[:]).Scan(
		idColumn{&l.ID}, hashColumn{&l.Token}, idColumn{&creator}, textColumn{&l.Owner}, textColumn{&l.Name}, scopesColumn{&l.Scopes},
		metadataColumn{&l.Metadata}, timeColumn{&l.Until}, numberColumn{&seconds})
	if err == nil && !l.Token.Equal(token) {
		err = sql.ErrNoRows
	}
	l.Lasts = time.Duration(seconds) * time.Second
	return l, creator, err
}

// linkedBy makes a link's creator the actor, if the link can still be opened.
func (m *mutation) linkedBy(creator apikey.ID, l apikey.Link) error {
	if !m.now.Before(l.Until) {
		return apikey.ErrNoLink
	}
	if m.actor.Key = creator; creator.IsZero() {
		return nil
	}
	acting, err := m.readActor(creator)
	if errors.Is(err, sql.ErrNoRows) {
		return apikey.ErrNoLink
	}
	if err != nil {
		return err
	}
	if acting.owner.Suspended || acting.Status(m.now) != apikey.StatusActive || acting.MayWrite() != nil || acting.MayLink(l) != nil {
		return apikey.ErrNoLink
	}
	m.acting = &acting.Key
	return nil
}

// PruneSessions implements store.Sessions.
func (db *DB) PruneSessions(ctx context.Context, before time.Time) (removed int, err error) {
	removed, err = db.removeAll(ctx, `DELETE FROM session_keys WHERE id IN (SELECT id FROM session_keys WHERE expires_at < $1 LIMIT $2)
		RETURNING id`, millis(before))
	if err != nil {
		return removed, err
	}
	return removed, db.writer.background(ctx, func(t *transaction) error {
		return t.exec(`DELETE FROM owner_links WHERE until < $1`, millis(before))
	})
}

// forgetSessions ends all sessions and owner links of a restored database: some may have been ended or opened since its
// backup.
func (t *transaction) forgetSessions() error {
	return errors.Join(t.exec(`DELETE FROM session_keys`), t.exec(`DELETE FROM owner_links`))
}
