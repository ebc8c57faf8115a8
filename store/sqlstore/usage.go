package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// usageTable is a table of counts: its name, and the number of the interval that holds a time.
type usageTable struct {
	name, number string
	interval     time.Duration
}

var (
	usageHours = usageTable{"usage_hours", "hour", store.Hour}
	usageDays  = usageTable{"usage_days", "day", store.Day}
)

// numberOf returns the number, since 1970, of the interval that holds a time.
func (u usageTable) numberOf(at time.Time) int64 { return at.UnixMilli() / u.interval.Milliseconds() }

func (u usageTable) start(number int64) time.Time {
	return time.UnixMilli(number * u.interval.Milliseconds()).UTC()
}

// countRow is the key of a row of counts.
type countRow struct {
	number  int64
	subject string // a subjectKey
	outcome int
}

func (r countRow) compare(other countRow) int {
	return cmp.Or(cmp.Compare(r.number, other.number), cmp.Compare(r.subject, other.subject), cmp.Compare(r.outcome, other.outcome))
}

// rowsInStatement is how many rows one statement writes, or keys one reads about.
const rowsInStatement = 32

// rowsStatement is a statement that writes one row or rowsInStatement of them.
type rowsStatement struct{ one, many string }

// newRowsStatement builds a statement from the text before the rows, a row, the separator between two rows, and the text
// after them. Each $ in a row becomes the next argument.
func newRowsStatement(before, row, separator, after string) rowsStatement {
	build := func(n int) string {
		var b strings.Builder
		b.WriteString(before)
		arg := 0
		for i := range n {
			if i > 0 {
				b.WriteString(separator)
			}
			for _, c := range row {
				b.WriteRune(c)
				if c == '$' {
					arg++
					fmt.Fprint(&b, arg)
				}
			}
		}
		return b.String() + after
	}
	return rowsStatement{build(1), build(rowsInStatement)}
}

// write writes rows.
func (s rowsStatement) write(t *transaction, rows [][]any) error {
	for len(rows) > 0 {
		statement, n := s.one, 1
		if len(rows) >= rowsInStatement {
			statement, n = s.many, rowsInStatement
		}
		if err := t.exec(statement, slices.Concat(rows[:n]...)...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

var (
	writeUses = newRowsStatement(`INSERT INTO key_uses (id, last_used_at, last_used_from) `,
		`SELECT id, CAST($ AS BIGINT), CAST($ AS TEXT) FROM api_keys WHERE id = $`, ` UNION ALL `,
		` ON CONFLICT (id) DO UPDATE SET last_used_at = excluded.last_used_at, last_used_from = excluded.last_used_from
		WHERE key_uses.last_used_at < excluded.last_used_at`)
	writeHours = usageHours.addition()
	writeDays  = usageDays.addition()
	writeSeen  = newRowsStatement(`INSERT INTO key_seen (id, kind, value, day) VALUES `, `($, $, $, $)`, `, `,
		` ON CONFLICT (id, kind, value) DO UPDATE SET day = excluded.day WHERE key_seen.day < excluded.day`)
)

// addition is the statement that adds counts.
func (u usageTable) addition() rowsStatement {
	return newRowsStatement(`INSERT INTO `+u.name+` (`+u.number+`, subject, outcome, uses) VALUES `, `($, $, $, $)`, `, `,
		` ON CONFLICT (`+u.number+`, subject, outcome) DO UPDATE SET uses = `+u.name+`.uses + excluded.uses`)
}

// RecordUses implements store.Usage. All rows are written in the order of their tables: neighbours share pages, and
// nodes lock rows in one order.
func (db *DB) RecordUses(ctx context.Context, uses []store.Use) error {
	uses = slices.SortedFunc(slices.Values(uses), func(a, b store.Use) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	counts := make(map[countRow]int64)
	last := make(map[apikey.ID]store.Use)
	for _, u := range uses {
		hour := usageHours.numberOf(u.Hour)
		subjects := []store.Subject{{Key: u.Key}, {Owner: u.Owner}, {}}
		if u.Key.IsZero() {
			subjects = subjects[2:]
		}
		for outcome, n := range u.Counts {
			for _, s := range subjects {
				if n != 0 {
					counts[countRow{hour, string(subjectKey(s)), outcome}] += n
				}
			}
		}
		if !u.LastUsedAt.IsZero() && !u.LastUsedAt.Before(last[u.Key].LastUsedAt) {
			last[u.Key] = u
		}
	}
	if len(uses) == 0 {
		return nil
	}
	return db.writer.background(ctx, func(t *transaction) error {
		var rows [][]any
		for i, u := range uses {
			if latest, used := last[u.Key]; used && (i == 0 || uses[i-1].Key != u.Key) {
				rows = append(rows, []any{latest.LastUsedAt.UnixMilli(), addressText(latest), u.Key[:]})
			}
		}
		if err := t.recordSeen(uses); err != nil { // it must still see whether a key was used before
			return err
		}
		if err := writeUses.write(t, rows); err != nil {
			return err
		}
		return t.addCounts(writeHours, counts)
	})
}

// addressText is how the address of a last use is stored; an unknown one is empty.
func addressText(u store.Use) string {
	if !u.LastUsedFrom.IsValid() {
		return ""
	}
	return u.LastUsedFrom.Unmap().WithZone("").String()
}

func (t *transaction) addCounts(statement rowsStatement, counts map[countRow]int64) error {
	rows := make([][]any, 0, len(counts))
	for _, r := range slices.SortedFunc(maps.Keys(counts), countRow.compare) {
		rows = append(rows, []any{r.number, []byte(r.subject), r.outcome, counts[r]})
	}
	return statement.write(t, rows)
}

// places are the arguments from one to another of a statement.
func places(from, to int) string {
	list := make([]string, 0, to-from+1)
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprintf("$%d", i))
	}
	return strings.Join(list, ", ")
}

// padded returns the arguments that fill some places, the last one again where there are too few.
func padded[T any](some []T, places int, arg func(T) any) []any {
	args := make([]any, 0, places)
	for i := range places {
		args = append(args, arg(some[min(i, len(some)-1)]))
	}
	return args
}

// UsageSince implements store.Usage.
func (db *DB) UsageSince(ctx context.Context, interval time.Duration) (since time.Time, err error) {
	err = db.lookUp(ctx, func(ctx context.Context) error {
		hour, err := usageHours.oldest(ctx, db.points)
		if err != nil {
			return err
		}
		if hour.Valid {
			since = usageHours.start(hour.Int64)
		}
		if interval < store.Day {
			return nil
		}
		day, err := usageDays.oldest(ctx, db.points)
		if err == nil && day.Valid {
			since = usageDays.start(day.Int64) // never later
		}
		return err
	})
	return since, err
}

func (u usageTable) oldest(ctx context.Context, q querier) (number sql.NullInt64, err error) {
	err = first(ctx, q, `SELECT min(`+u.number+`) FROM `+u.name).Scan(&number)
	return number, err
}

// CountedUses implements store.Usage.
func (db *DB) CountedUses(ctx context.Context, q store.UsageQuery) (counts []store.IntervalCounts, err error) {
	err = db.lookUp(ctx, func(ctx context.Context) error {
		return db.points.snapshot(ctx, func(on querier) (err error) {
			counts, err = countedUses(ctx, on, q)
			return err
		})
	})
	return counts, err
}

func countedUses(ctx context.Context, on querier, q store.UsageQuery) ([]store.IntervalCounts, error) {
	found := make(map[int64]*store.IntervalCounts) // by the milliseconds of its start
	add := func(u usageTable) func(number int64, outcome int, uses int64) {
		return func(number int64, outcome int, uses int64) {
			start := u.start(number).Truncate(q.Interval)
			at := found[start.UnixMilli()]
			if at == nil {
				at = &store.IntervalCounts{Start: start}
				found[start.UnixMilli()] = at
			}
			if outcome < len(at.Counts) { // else a newer version's
				at.Counts[outcome] += uses
			}
		}
	}
	if q.Interval == store.Day {
		if err := usageDays.read(ctx, on, q, add(usageDays)); err != nil {
			return nil, err
		}
	}
	if err := usageHours.read(ctx, on, q, add(usageHours)); err != nil {
		return nil, err
	}
	counts := make([]store.IntervalCounts, 0, len(found))
	for _, start := range slices.Sorted(maps.Keys(found)) {
		counts = append(counts, *found[start])
	}
	return counts, nil
}

// intervalsInStatement is how many intervals one statement reads: a look-up each, because other subjects' rows are
// between them.
const intervalsInStatement = 64

// read reads a subject's rows of the intervals that there may be.
func (u usageTable) read(
	ctx context.Context, on querier, q store.UsageQuery, add func(number int64, outcome int, uses int64),
) error {
	oldest, err := u.oldest(ctx, on)
	if err != nil || !oldest.Valid {
		return err
	}
	var numbers []int64
	for n := max(u.numberOf(q.From), oldest.Int64); u.start(n).Before(q.To); n++ {
		numbers = append(numbers, n)
	}
	for some := range slices.Chunk(numbers, intervalsInStatement) {
		err := on.each(ctx, func(r row) error {
			var number, uses int64
			var outcome int
			err := r.Scan(&number, &outcome, &uses)
			add(number, outcome, uses)
			return err
		}, `SELECT `+u.number+`, outcome, uses FROM `+u.name+`
			WHERE subject = $1 AND `+u.number+` IN (`+places(2, intervalsInStatement+1)+`)`,
			append([]any{subjectKey(q.Subject)}, padded(some, intervalsInStatement, func(n int64) any { return n })...)...)
		if err != nil {
			return err
		}
	}
	return nil
}
