package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

// ownerColumns are the columns of owners.
var ownerColumns = columnsOf[apikey.Owner]{
	{name: "owner", of: func(o *apikey.Owner) stored { return textColumn{&o.Name} }},
	{name: "suspended", of: func(o *apikey.Owner) stored { return flagColumn{&o.Suspended} }},
	{name: "max_keys", of: func(o *apikey.Owner) stored { return numberColumn{&o.MaxKeys} }},
	{name: "rate_limit", of: func(o *apikey.Owner) stored { return numberColumn{&o.RateLimit.Limit} }},
	{name: "rate_window", of: func(o *apikey.Owner) stored { return secondsColumn{&o.RateLimit.Window} }},
	{name: "quota_limit", of: func(o *apikey.Owner) stored { return numberColumn{&o.Quota.Limit} }},
	{name: "quota_period", of: func(o *apikey.Owner) stored { return textColumn{(*string)(&o.Quota.Period)} }},
	{name: "quota_starts_on", of: func(o *apikey.Owner) stored { return numberColumn{&o.Quota.StartsOn} }},
	{name: "metadata", of: func(o *apikey.Owner) stored { return metadataColumn{&o.Metadata} }},
	{name: "allowed_cidrs", since: 12, of: func(o *apikey.Owner) stored { return cidrsColumn{&o.AllowedCIDRs} }},
}

var upsertOwner = ownerColumns.upsert("owners")

// OwnerColumns are the names of the columns of owners.
func OwnerColumns() string { return ownerColumns.names() }

// readOwner reads OwnerColumns, and what follows them, from a row.
func readOwner(r interface{ Scan(to ...any) error }, more ...any) (o apikey.Owner, err error) {
	err = r.Scan(append(ownerColumns.parts(&o), more...)...)
	switch {
	case errors.Is(err, errMetadata):
		err = fmt.Errorf("%w: the metadata of owner %q cannot be read", store.ErrDamaged, o.Name)
	case errors.Is(err, errCIDRs):
		err = fmt.Errorf("%w: the networks of owner %q cannot be read", store.ErrDamaged, o.Name)
	}
	return o, err
}

// findOwner returns an owner. One without settings of its own has the zero OwnerSettings.
func findOwner(ctx context.Context, q querier, name string) (apikey.Owner, error) {
	o, err := readOwner(first(ctx, q, `SELECT `+OwnerColumns()+` FROM owners WHERE owner = $1`, name))
	if errors.Is(err, sql.ErrNoRows) {
		return apikey.Owner{Name: name}.Apply(apikey.OwnerChange{}), nil
	}
	return o, err
}

// OwnerSettings implements store.Owners.
func (db *DB) OwnerSettings(ctx context.Context, name string) (s apikey.OwnerSettings, none bool, err error) {
	err = db.lookUp(ctx, func(ctx context.Context) error {
		var some int
		o, err := findOwner(ctx, db.points, name)
		if err == nil && o.IsDefault() {
			err = first(ctx, db.points, `SELECT count(*) FROM (SELECT owner FROM owners LIMIT 1) AS one`).Scan(&some)
			none = some == 0
		}
		s = o.OwnerSettings
		return err
	})
	return s, none, err
}

// UpdateOwner implements store.Owners.
func (db *DB) UpdateOwner(
	ctx context.Context, actor store.Actor, name string, change apikey.OwnerChange,
) (owner apikey.Owner, err error) {
	err = db.write(ctx, func(t *transaction) error {
		m := db.newMutation(t, actor)
		if err := m.lock(m.dialect.lockChange, apikey.OwnerID(name)); err != nil {
			return err
		}
		before, err := findOwner(context.Background(), m, name)
		if err != nil {
			return err
		}
		if err := m.act(); err != nil {
			return err
		}
		if err := m.allowed(func(acting apikey.Key) error { return acting.MayChangeOwners() }); err != nil {
			return err
		}
		owner = before.Apply(change)
		return m.updateOwner(before, owner)
	})
	return owner, err
}

// updateOwner writes an owner that is locked, and the event.
func (m *mutation) updateOwner(before, owner apikey.Owner) error {
	changes := owner.Difference(before)
	if len(changes) == 0 {
		return m.needOwner(owner.Name)
	}
	m.changed = apikey.OwnerID(owner.Name)
	clear(m.actors) // some may be the owner's
	m.rooms.bound(owner.Name, owner.MaxKeys)
	if err := m.exec(upsertOwner, ownerColumns.values(&owner)...); err != nil {
		return err
	}
	// A key's event has its id here. Programs that verify the log expect one.
	return m.audit(store.ActionUpdateOwner, &apikey.Key{Settings: apikey.Settings{Owner: owner.Name, Name: owner.Name}}, changes)
}

// needOwner returns store.ErrNoOwner if an owner has neither keys nor settings.
func (m *mutation) needOwner(name string) error {
	page, err := ownersPage(context.Background(), m, store.OwnerQuery{Limit: 1}, name)
	if err == nil && len(page.Owners) == 0 {
		err = store.ErrNoOwner
	}
	return err
}

// Owner implements store.Owners.
func (db *DB) Owner(ctx context.Context, name string, at time.Time) (state store.OwnerState, err error) {
	err = db.readSnapshot(ctx, func(q querier) error {
		page, err := ownersPage(ctx, q, store.OwnerQuery{Limit: 1}, name)
		switch {
		case err != nil:
			return err
		case len(page.Owners) == 0:
			return store.ErrNoOwner
		}
		err = countOwners(ctx, q, page.Owners, at)
		state = page.Owners[0]
		return err
	})
	return state, err
}

// Owners implements store.Owners.
func (db *DB) Owners(ctx context.Context, query store.OwnerQuery) (page store.OwnerPage, err error) {
	err = db.readSnapshot(ctx, func(q querier) (err error) {
		if page, err = ownersPage(ctx, q, query, ""); err != nil || len(page.Owners) == 0 {
			return err
		}
		return countOwners(ctx, q, page.Owners, query.At)
	})
	return page, err
}

// ownersPage returns owners without counts; only the named one if name is not empty.
func ownersPage(ctx context.Context, q querier, query store.OwnerQuery, name string) (page store.OwnerPage, err error) {
	c := &conditions{}
	if name != "" {
		c.add(`owner = ` + c.arg(name))
	}
	c.add(`owner > ` + c.arg(query.After)) // never everybody
	if query.Search != "" {
		c.add(c.holdsInAnyCase(`owner`, query.Search))
	}
	if query.Enabled != nil {
		suspended := `owner IN (` + suspendedOwners + `)`
		if *query.Enabled {
			suspended = `NOT ` + suspended
		}
		c.add(suspended)
	}
	match, limit := c.sql(), ` ORDER BY owner LIMIT `+c.arg(query.Limit+1)
	// Each side ends early, and then both together.
	names := `SELECT owner FROM (SELECT DISTINCT owner FROM key_counts` + match + limit + `) AS counted
		UNION SELECT owner FROM (SELECT owner FROM owners` + match + limit + `) AS changed` + limit
	columns := strings.ReplaceAll(OwnerColumns(), "owner,", "names.owner,")
	columns = strings.ReplaceAll(columns, "metadata", "coalesce(metadata, '"+noMetadata+"')")
	page.Owners = []store.OwnerState{}
	err = q.each(ctx, func(r row) error {
		if page.More = len(page.Owners) == query.Limit; page.More {
			return sqlitefile.ErrEnough
		}
		o, err := readOwner(r)
		page.Owners = append(page.Owners, store.OwnerState{Owner: o})
		return err
	}, `SELECT `+columns+` FROM (`+names+`) AS names LEFT JOIN owners ON owners.owner = names.owner
		ORDER BY names.owner`, c.args...)
	return page, err
}

// countOwners sets the counts and the last use of owners' keys.
func countOwners(ctx context.Context, q querier, owners []store.OwnerState, at time.Time) error {
	c, index := &conditions{}, make(map[string]*store.OwnerState, len(owners))
	now, names := c.instant(at), make([]string, len(owners))
	for i := range owners {
		names[i], index[owners[i].Name] = c.arg(owners[i].Name), &owners[i]
	}
	return q.each(ctx, func(r row) error {
		var name string
		var total int
		var used sql.NullInt64
		var n store.KeyCounts
		if err := r.Scan(&name, &total, &n.Revoked, &n.Suspended, &n.Expired, &used); err != nil {
			return err
		}
		o := index[name]
		if o.Suspended {
			n.Suspended += total - n.Revoked
			n.Revoked, n.Expired = total, 0
		}
		n.Active = total - n.Revoked - n.Expired
		o.Keys, o.LastUsedAt = n, fromMillis(used)
		return nil
	}, `SELECT owner, count(*),
			count(CASE WHEN revoked_at IS NOT NULL OR suspended IS NOT NULL THEN 1 END),
			count(CASE WHEN `+isSuspended+` THEN 1 END),
			count(CASE WHEN `+unended+` AND expires_at <= `+now+` THEN 1 END),
			max(`+lastUsedAt+`)
		FROM api_keys WHERE owner IN (`+strings.Join(names, ", ")+`) GROUP BY owner`, c.args...)
}
