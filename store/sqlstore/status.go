package sqlstore

import (
	"context"

	"apikeyd/store"
)

// statuses makes the conditions of a key's status. They look at the keys' owners only if a suspended one is among them,
// so that nobody else pays for it.
type statuses struct{ ofSuspended bool }

// suspendedOwners is a query of owners.
const suspendedOwners = `SELECT owner FROM owners WHERE suspended IS NOT NULL`

// readStatuses returns the conditions for the keys of an owner, or of everybody, in the rest of a snapshot.
func readStatuses(ctx context.Context, q querier, owner string) (statuses, error) {
	c := &conditions{}
	if owner != everybody {
		c.add(`owner = ` + c.arg(owner))
	}
	c.add(`suspended IS NOT NULL`)
	var some int
	err := first(ctx, q, `SELECT count(*) FROM (SELECT owner FROM owners`+c.sql()+` LIMIT 1) AS one`, c.args...).Scan(&some)
	return statuses{some > 0}, err
}

// statusesFor is readStatuses if the query asks for a status.
func statusesFor(ctx context.Context, q querier, query store.Query) (statuses, error) {
	if query.Status == "" && query.Rotating == nil {
		return statuses{}, nil
	}
	return readStatuses(ctx, q, query.Owner)
}

// unended is neither revoked nor suspended, whatever the owner is. It hides from SQLite that it is the condition of
// the index of names: SQLite would scan that index and look up each key.
const unended = `NOT (revoked_at IS NOT NULL) AND suspended IS NULL`

func (s statuses) notRevoked() string {
	if !s.ofSuspended {
		return unended
	}
	return unended + ` AND ` + ownerSuspended + ` IS NULL`
}

// revoked returns alternatives, of which no key meets two.
func (s statuses) revoked() []string {
	return append([]string{`revoked_at IS NOT NULL`}, s.suspended()...)
}

// suspended returns alternatives, of which no key meets two.
func (s statuses) suspended() []string {
	if !s.ofSuspended {
		return []string{isSuspended}
	}
	return []string{isSuspended, `revoked_at IS NULL AND suspended IS NULL AND owner IN (` + suspendedOwners + `)`}
}

// hasForeign is apikey.Key's HasForeign, and never NULL.
func hasForeign(at string) string {
	return `coalesce(foreign_secret, 0) > 0 AND revoked_at IS NULL AND (foreign_secret = 1 OR coalesce(old_secret_until, 0) > ` + at + `)`
}

// isActive and isRotating are never NULL.
func (s statuses) isActive(at string) string { return `expires_at > ` + at + ` AND ` + s.notRevoked() }

func (s statuses) isRotating(at string) string {
	return `coalesce(old_secret_until, 0) > ` + at + ` AND ` + s.isActive(at)
}
