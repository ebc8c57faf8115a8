package sqlstore

import (
	"context"
	"time"

	"apikeyd/store"
)

// Summary implements store.Store.
func (db *DB) Summary(ctx context.Context, owner string, at time.Time) (s store.Summary, err error) {
	err = db.read(ctx, func() error {
		s, err = summarize(ctx, db.reader, owner, at)
		return err
	})
	return s, err
}

// summarize reads each key once. When it was last used is looked up only for those that are
// old enough to be unused.
func summarize(ctx context.Context, q querier, owner string, at time.Time) (s store.Summary, err error) {
	where := conditionsOf(store.Query{Owner: owner})
	now, soon, before := where.instant(at), where.instant(at.Add(store.ExpiringSoon)), where.instant(at.Add(-store.UnusedAfter))
	active := isActive(now)
	err = q.QueryRowContext(ctx, `SELECT
			count(CASE WHEN `+active+` THEN 1 END),
			count(CASE WHEN revoked_at IS NULL AND expires_at <= `+now+` THEN 1 END),
			count(revoked_at),
			count(CASE WHEN `+active+` AND `+isRotating(now)+` THEN 1 END),
			count(CASE WHEN `+active+` AND expires_at < `+soon+` THEN 1 END),
			count(CASE WHEN `+active+` AND created_at < `+before+` THEN
				CASE WHEN coalesce(`+lastUsedAt+`, created_at) < `+before+` THEN 1 END END)
		FROM api_keys`+where.sql(), where.args...).
		Scan(&s.Active, &s.Expired, &s.Revoked, &s.Rotating, &s.ExpiringSoon, &s.Unused)
	return s, err
}
