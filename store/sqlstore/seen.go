package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// seenRow is the key of a row of key_seen.
type seenRow struct {
	id    apikey.ID
	kind  store.SeenKind
	value string
}

func (r seenRow) compare(other seenRow) int {
	return cmp.Or(bytes.Compare(r.id[:], other.id[:]), cmp.Compare(r.kind, other.kind), cmp.Compare(r.value, other.value))
}

// recordSeen writes what is new today. Mostly nothing is, so it looks first.
func (t *transaction) recordSeen(uses []store.Use) error {
	days, ids := seenIn(uses)
	known, kept := make(map[seenRow]int64), make(map[apikey.ID][store.SeenMoreNetworks]int)
	err := t.eachSeen(ids, func(row seenRow, day int64) {
		known[row] = day
		if row.kind < store.SeenMoreNetworks {
			n := kept[row.id]
			n[row.kind]++
			kept[row.id] = n
		}
	})
	if err != nil {
		return err
	}
	for _, row := range slices.SortedFunc(maps.Keys(days), seenRow.compare) {
		if _, again := known[row]; again || row.kind == store.SeenMoreNetworks {
			continue
		}
		n, most := kept[row.id], [...]int{store.MaxSeenScopes, store.MaxSeenNetworks}
		if n[row.kind]++; n[row.kind] <= most[row.kind] {
			kept[row.id] = n
			continue
		}
		if row.kind == store.SeenNetwork {
			mark := seenRow{row.id, store.SeenMoreNetworks, ""}
			days[mark] = max(days[mark], days[row])
		}
		delete(days, row)
	}
	var rows [][]any
	for _, row := range slices.SortedFunc(maps.Keys(days), seenRow.compare) {
		if last, again := known[row]; !again || last < days[row] {
			rows = append(rows, []any{row.id[:], int(row.kind), row.value, days[row]})
		}
	}
	return writeSeen.write(t, rows)
}

// seenIn returns what uses, which are in the order of their keys, show and on which day, and the keys that show
// anything.
func seenIn(uses []store.Use) (days map[seenRow]int64, ids []apikey.ID) {
	days = make(map[seenRow]int64)
	for _, u := range uses {
		before := len(days)
		see := func(kind store.SeenKind, value string) {
			row := seenRow{u.Key, kind, value}
			days[row] = max(days[row], usageDays.numberOf(u.LastUsedAt))
		}
		for _, scope := range u.Scopes {
			see(store.SeenScope, scope)
		}
		for _, network := range u.Networks {
			see(store.SeenNetwork, network.String())
		}
		if u.MoreNetworks {
			see(store.SeenMoreNetworks, "")
		}
		if len(days) > before && (len(ids) == 0 || ids[len(ids)-1] != u.Key) {
			ids = append(ids, u.Key)
		}
	}
	return days, ids
}

// selectSeen reads what is known of several keys.
var selectSeen = `SELECT id, kind, value, day FROM key_seen WHERE id IN (` + places(1, rowsInStatement) + `)`

func (t *transaction) eachSeen(ids []apikey.ID, do func(row seenRow, day int64)) error {
	for some := range slices.Chunk(ids, rowsInStatement) {
		err := t.each(context.Background(), func(r row) error {
			var row seenRow
			var kind int
			var day int64
			err := r.Scan(idColumn{&row.id}, &kind, &row.value, &day)
			row.kind = store.SeenKind(kind)
			do(row, day)
			return err
		}, selectSeen, padded(some, rowsInStatement, func(id apikey.ID) any { return id[:] })...)
		if err != nil {
			return err
		}
	}
	return nil
}

// Seen implements store.Usage.
func (db *DB) Seen(ctx context.Context, id apikey.ID, since time.Time) (seen []store.Seen, err error) {
	err = db.read(ctx, func() error {
		seen = []store.Seen{}
		brief, done := db.brief(ctx)
		defer done()
		return db.points.each(brief, func(r row) error {
			var s store.Seen
			var kind int
			var day int64
			err := r.Scan(&kind, &s.Value, &day)
			s.Kind, s.Last = store.SeenKind(kind), usageDays.start(day)
			seen = append(seen, s)
			return err
		}, `SELECT kind, value, day FROM key_seen WHERE id = $1 AND day >= $2 ORDER BY kind, value`,
			id[:], usageDays.numberOf(since))
	})
	return seen, err
}
