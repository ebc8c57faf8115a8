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

// recordSeen writes what is new today. Usually nothing is, so it reads first.
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
	if err := t.noticeNetworks(days, known); err != nil {
		return err
	}
	var rows [][]any
	for _, row := range slices.SortedFunc(maps.Keys(days), seenRow.compare) {
		if last, again := known[row]; !again || last < days[row] {
			rows = append(rows, []any{row.id[:], int(row.kind), row.value, days[row]})
		}
	}
	return writeSeen.write(t, rows)
}

// noticeNetworks writes the notice of each new network of a key with keys:admin, unless it is the first use of the key.
// Whichever node inserts the network writes its notice.
func (t *transaction) noticeNetworks(days, known map[seenRow]int64) error {
	fresh := make(map[apikey.ID][]seenRow)
	for row := range days {
		if _, again := known[row]; !again && row.kind == store.SeenNetwork {
			fresh[row.id] = append(fresh[row.id], row)
		}
	}
	admins, err := t.usedAdmins(slices.SortedFunc(maps.Keys(fresh), func(a, b apikey.ID) int { return bytes.Compare(a[:], b[:]) }))
	if err != nil {
		return err
	}
	for _, key := range admins {
		m := &mutation{transaction: t, now: t.now().UTC().Truncate(time.Millisecond), actor: store.Actor{Key: key.ID, Via: "http"}}
		for _, network := range slices.SortedFunc(slices.Values(fresh[key.ID]), seenRow.compare) {
			inserted, err := execCounting(t, `INSERT INTO key_seen (id, kind, value, day) VALUES ($1, $2, $3, $4)
				ON CONFLICT (id, kind, value) DO NOTHING RETURNING day`, network.id[:], int(network.kind), network.value, days[network])
			if err == nil && inserted > 0 {
				err = m.notice(store.ActionNewNetwork, &key, store.Notice{Network: network.value})
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// usedAdmins returns those of some keys that have keys:admin and were used before.
func (t *transaction) usedAdmins(ids []apikey.ID) (admins []apikey.Key, err error) {
	reader := newKeyReader()
	for some := range slices.Chunk(ids, rowsInStatement) {
		err := t.each(context.Background(), func(r row) error {
			key, err := reader.read(r)
			if err == nil && key.Scopes.Has(apikey.ScopeAdmin) && !key.LastUsedAt.IsZero() {
				admins = append(admins, key)
			}
			return err
		}, selectKeys, padded(some, rowsInStatement, func(id apikey.ID) any { return id[:] })...)
		if err != nil {
			return nil, err
		}
	}
	return admins, nil
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

// selectKeys reads several keys, in their order.
var selectKeys = `SELECT ` + keyColumns + ` FROM api_keys WHERE id IN (` + places(1, rowsInStatement) + `) ORDER BY id`

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
	err = db.lookUp(ctx, func(ctx context.Context) error {
		seen = []store.Seen{}
		return db.points.each(ctx, func(r row) error {
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
