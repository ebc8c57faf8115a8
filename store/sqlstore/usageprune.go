package sqlstore

import (
	"context"
	"errors"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

// countsAtOnce is how many rows one transaction removes: few enough that waiting changes hardly notice.
const countsAtOnce = 256

// PruneUsage implements store.Usage. As with events, a call removes at most a day's hours and one day, so that a
// wrong clock costs little.
func (db *DB) PruneUsage(ctx context.Context, keep store.Retention) (rows int, err error) {
	rows, err = db.pruneCounts(ctx, usageHours, keep.Hours, func(t *transaction, gone map[countRow]int64) error {
		days := make(map[countRow]int64)
		for r, n := range gone {
			r.number = usageDays.numberOf(usageHours.start(r.number))
			days[r] += n
		}
		return t.addCounts(writeDays, days)
	})
	if err != nil {
		return rows, err
	}
	n, err := db.pruneCounts(ctx, usageDays, keep.Days, func(*transaction, map[countRow]int64) error { return nil })
	rows += n
	if err != nil {
		return rows, err
	}
	n, err = db.pruneSeen(ctx, keep.Seen)
	rows += n
	if err != nil {
		return rows, err
	}
	n, err = db.pruneNotices(ctx, keep.Notices)
	return rows + n, err
}

// pruneCounts removes the rows of intervals that begin before a time, and calls and with them in the same
// transaction. A row that another node removes meanwhile is only in one of both results.
func (db *DB) pruneCounts(
	ctx context.Context, u usageTable, before time.Time, and func(*transaction, map[countRow]int64) error,
) (removed int, err error) {
	end := u.numberOf(before)
	err = db.lookUp(ctx, func(ctx context.Context) error {
		oldest, err := u.oldest(ctx, db.points)
		if oldest.Valid {
			end = min(end, u.numberOf(u.start(oldest.Int64).Add(prunedSpan)))
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	for {
		gone := make(map[countRow]int64)
		err := db.writer.background(ctx, func(t *transaction) error {
			clear(gone)
			err := t.each(context.Background(), func(r row) error {
				var at countRow
				var subject []byte
				var uses int64
				err := r.Scan(&at.number, &subject, &at.outcome, &uses)
				at.subject = string(subject)
				gone[at] = uses
				return err
			}, u.removal(), end, countsAtOnce)
			if err != nil {
				return err
			}
			return and(t, gone)
		})
		if err != nil {
			return removed, err
		}
		if removed += len(gone); len(gone) < countsAtOnce {
			return removed, nil
		}
	}
}

// removal is the statement that removes the oldest rows.
func (u usageTable) removal() string {
	key := u.number + `, subject, outcome`
	return `DELETE FROM ` + u.name + ` WHERE (` + key + `) IN (
			SELECT ` + key + ` FROM ` + u.name + ` WHERE ` + u.number + ` < $1 ORDER BY ` + key + ` LIMIT $2)
		RETURNING ` + key + `, uses`
}

// removeAll repeats a statement that removes at most countsAtOnce rows, its last argument, and returns a row for each.
func (db *DB) removeAll(ctx context.Context, statement string, args ...any) (removed int, err error) {
	args = append(args, countsAtOnce)
	for {
		var n int
		err := db.writer.background(ctx, func(t *transaction) (err error) {
			n, err = execCounting(t, statement, args...)
			return err
		})
		if err != nil {
			return removed, err
		}
		if removed += n; n < countsAtOnce {
			return removed, nil
		}
	}
}

// pruneSeen removes what was last seen before a day. It looks for that beside the writer, because that reads the whole
// table.
func (db *DB) pruneSeen(ctx context.Context, before time.Time) (removed int, err error) {
	end, last := usageDays.numberOf(before), apikey.ID{}
	for {
		var old []seenRow
		err := db.read(ctx, func() error {
			old = nil
			return db.reader.each(ctx, func(r row) error {
				var row seenRow
				var kind int
				err := r.Scan(idColumn{&row.id}, &kind, &row.value)
				if len(old) >= countsAtOnce && old[len(old)-1].id != row.id { // a key's rows together
					return sqlitefile.ErrEnough
				}
				row.kind = store.SeenKind(kind)
				old = append(old, row)
				return err
			}, `SELECT id, kind, value FROM key_seen WHERE id > $1 AND day < $2 ORDER BY id, kind, value LIMIT $3`,
				last[:], end, countsAtOnce+store.MaxSeenScopes+store.MaxSeenNetworks+1)
		})
		if err != nil || len(old) == 0 {
			return removed, err
		}
		err = db.writer.background(ctx, func(t *transaction) error {
			var errs []error
			for _, r := range old {
				errs = append(errs, t.exec(`DELETE FROM key_seen WHERE id = $1 AND kind = $2 AND value = $3 AND day < $4`,
					r.id[:], int(r.kind), r.value, end))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			return removed, err
		}
		removed += len(old)
		last = old[len(old)-1].id
	}
}
