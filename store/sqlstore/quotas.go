package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"apikeyd/store"
)

// quotaTimeout is how long a verification may wait for units.
const quotaTimeout = 3 * time.Second

// unitsAtOnce is how many rows one transaction returns units to.
const unitsAtOnce = 256

// takeUnits keeps the later start of a period and the use since then.
const takeUnits = `INSERT INTO quota_uses AS q (subject, since, used, granted)
	SELECT $1, CAST($2 AS BIGINT), granted, granted FROM (
		SELECT CASE WHEN CAST($3 AS BIGINT) < CAST($4 AS BIGINT) THEN CAST($3 AS BIGINT) ELSE CAST($4 AS BIGINT) END AS granted
	) AS first WHERE true
	ON CONFLICT (subject) DO UPDATE SET (since, used, granted) = (
		SELECT since, used + granted, granted FROM (
			SELECT since, used, CASE
				WHEN CAST($3 AS BIGINT) <= used THEN 0
				WHEN CAST($3 AS BIGINT) - used < CAST($4 AS BIGINT) THEN CAST($3 AS BIGINT) - used
				ELSE CAST($4 AS BIGINT) END AS granted
			FROM (
				SELECT CASE WHEN q.since < excluded.since THEN excluded.since ELSE q.since END AS since,
					CASE WHEN q.since < excluded.since THEN 0 ELSE q.used END AS used
			) AS now
		) AS next
	)
	RETURNING granted, used, since`

// TakeUnits implements store.Quotas. If its outcome is unknown the units may be lost, so too few calls pass.
func (db *DB) TakeUnits(
	ctx context.Context, subject store.Subject, limit int, start time.Time, units int,
) (u store.Used, err error) {
	ctx, cancel := context.WithTimeout(ctx, quotaTimeout)
	defer cancel()
	err = db.writeQuotas(ctx, func(ctx context.Context, q querier) error {
		return db.dialect.retryEnded(func() error {
			// To the end, where a failed commit shows.
			return q.each(ctx, func(r row) error {
				var since sql.NullInt64
				err := r.Scan(&u.Granted, &u.Total, &since)
				u.Since = fromMillis(since)
				return err
			}, takeUnits, subjectKey(subject), start.UnixMilli(), limit, units)
		})
	})
	if err != nil {
		return store.Used{}, err
	}
	return u, nil
}

// ReturnUnits implements store.Quotas. It repeats nothing: units that were returned twice could be used twice.
func (db *DB) ReturnUnits(ctx context.Context, unused []store.Unused) error {
	// Nodes lock rows in one order.
	slices.SortFunc(unused, func(a, b store.Unused) int {
		return cmp.Compare(string(subjectKey(a.Subject)), string(subjectKey(b.Subject)))
	})
	for some := range slices.Chunk(unused, unitsAtOnce) {
		err := db.writeQuotas(ctx, func(ctx context.Context, q querier) error {
			for _, u := range some {
				err := q.each(ctx, func(row) error { return nil }, `UPDATE quota_uses SET used = used - $1
					WHERE subject = $2 AND since = $3 AND used >= $1 RETURNING used`,
					u.Units, subjectKey(u.Subject), u.Since.UnixMilli())
				if err != nil {
					return err
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

// UsedUnits implements store.Quotas.
func (db *DB) UsedUnits(ctx context.Context, subject store.Subject, start time.Time) (used int, err error) {
	err = db.lookUp(ctx, func(ctx context.Context) error {
		return first(ctx, db.points, `SELECT CAST(coalesce(sum(used), 0) AS BIGINT) FROM quota_uses
			WHERE subject = $1 AND since >= $2`, subjectKey(subject), start.UnixMilli()).Scan(&used)
	})
	return used, err
}

// writeQuotas writes beside the writer on PostgreSQL, where other nodes' locks on a row must not hold up changes.
func (db *DB) writeQuotas(ctx context.Context, do func(context.Context, querier) error) error {
	if db.node == nil {
		return db.write(ctx, func(t *transaction) error { return do(context.Background(), t) })
	}
	return db.condition.during(ctx, do(ctx, db.points))
}

// subjectKey is the primary key of a subject's row. No two subjects share one.
func subjectKey(s store.Subject) []byte {
	if s.Key.IsZero() {
		return append([]byte{'o'}, s.Owner...)
	}
	return append([]byte{'k'}, s.Key[:]...)
}
