package sqlstore

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

const (
	// budgetTimeout is how long a verification may wait for PostgreSQL.
	budgetTimeout = time.Second
	// budgetSweep is how often a node that takes calls removes the rows of full budgets,
	// and budgetsAtOnce is how many one statement removes.
	budgetSweep   = time.Minute
	budgetsAtOnce = 1000
)

// budget is a store.Budget in a table of PostgreSQL.
type budget struct {
	pool      *sql.DB
	condition *condition
	swept     atomic.Int64 // when it last began to, in nanoseconds since 1970
	sweeping  sync.WaitGroup
}

var _ store.Budget = (*budget)(nil)

// Budget returns the store's budget, or nil if only one node uses the store.
func (db *DB) Budget() store.Budget {
	if db.budget == nil {
		return nil
	}
	return db.budget
}

// takeCalls is ratelimit's bucket in SQL: it drains, and granted calls fill it. The clock is read once, after the
// row is locked, so that calls are counted in order. Losing the last moments does no harm, so the commit waits
// for neither disk nor standby: set_config applies to this statement's transaction only.
const takeCalls = `INSERT INTO rate_budgets AS b (id, rate_limit, rate_window, at, level, granted)
	SELECT $1, $2::bigint, $3::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
		least($4::bigint, $2::bigint) * $3::bigint, least($4::bigint, $2::bigint)
	WHERE set_config('synchronous_commit', 'off', true) = 'off'
	ON CONFLICT (id) DO UPDATE SET (rate_limit, rate_window, at, level, granted) = (
		WITH clock AS MATERIALIZED (
			SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
		), instant AS (
			SELECT CASE WHEN b.at - now BETWEEN 0 AND 30000000 THEN b.at ELSE now END AS at FROM clock
		), drained AS (
			SELECT at, CASE
				WHEN (b.rate_limit, b.rate_window) <> (excluded.rate_limit, excluded.rate_window) THEN 0
				WHEN at - b.at >= b.rate_window THEN 0
				ELSE greatest(b.level - greatest(at - b.at, 0) * b.rate_limit, 0) END AS level
			FROM instant
		), given AS (
			SELECT at, level, least($4::bigint,
				(excluded.rate_limit * excluded.rate_window - level) / excluded.rate_window) AS calls
			FROM drained
		)
		SELECT excluded.rate_limit, excluded.rate_window, at, level + calls * excluded.rate_window, calls FROM given
	)
	RETURNING granted, level`

// TakeCalls implements store.Budget.
func (b *budget) TakeCalls(
	ctx context.Context, subject store.Subject, limit apikey.RateLimit, calls int,
) (g store.Grant, err error) {
	if err := b.condition.err(); err != nil {
		return g, err
	}
	limited, cancel := context.WithTimeout(ctx, budgetTimeout)
	defer cancel()
	// If the session ended right after it took calls, they are taken twice, and too few calls pass.
	err = b.condition.dialect.retryEnded(func() error {
		return b.pool.QueryRowContext(limited, takeCalls, subjectKey(subject), limit.Limit, limit.Window.Microseconds(), calls).
			Scan(&g.Calls, &g.Level)
	})
	if err != nil {
		return store.Grant{}, b.condition.during(ctx, err)
	}
	now := time.Now()
	if last := b.swept.Load(); now.UnixNano()-last >= int64(budgetSweep) && b.swept.CompareAndSwap(last, now.UnixNano()) {
		b.sweeping.Go(b.sweep)
	}
	return g, nil
}

// sweep removes the rows of full budgets. If it fails, the next sweep does its work.
func (b *budget) sweep() {
	ctx, cancel := context.WithTimeout(context.Background(), budgetSweep)
	defer cancel()
	for removed := int64(budgetsAtOnce); removed == budgetsAtOnce; {
		result, err := b.pool.ExecContext(ctx, `DELETE FROM rate_budgets WHERE id IN (
			SELECT id FROM rate_budgets
			WHERE at < (extract(epoch FROM now()) * 1000000)::bigint - rate_window
			LIMIT $1 FOR UPDATE SKIP LOCKED)`, budgetsAtOnce)
		if err != nil {
			return
		}
		if removed, err = result.RowsAffected(); err != nil {
			return
		}
	}
}
