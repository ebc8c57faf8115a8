package migratestore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"
	"slices"
	"strconv"
	"strings"

	"apikeyd/store/sqlstore"
)

// querier is a pool or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// table is a table as a move sees it: rows of values, in the order of the first columns.
type table struct {
	name    string
	columns []string // the first are the primary key
	least   []any    // comes before every key; one for each column of the key
	only    string   // a condition for the rows that count; empty for all
	clash   string   // what to do where a row is already there; empty fails
}

var (
	keyTable     = newTable("api_keys", sqlstore.StoredColumns(), []byte{})
	useTable     = newTable("key_uses", `id, last_used_at, last_used_from`, []byte{})
	ownerTable   = newTable("owners", sqlstore.OwnerColumns(), "")
	foreignTable = newTable("foreign_secrets", sqlstore.ForeignColumns, []byte{})
	quotaTable   = newTable("quota_uses", `subject, since, used, granted`, []byte{})
	hourTable    = newTable("usage_hours", `hour, subject, outcome, uses`, math.MinInt32, []byte{}, 0)
	dayTable     = newTable("usage_days", `day, subject, outcome, uses`, math.MinInt32, []byte{}, 0)
	seenTable    = newTable("key_seen", `id, kind, value, day`, []byte{}, 0, "")
	eventTable   = newTable("audit_events", sqlstore.EventColumns, []byte{})
	// An anchor is an event when it is made; see insertAnchor.
	anchorTable = newTable("audit_anchors", `chain, event_id, seq, hash, at`, "")
	headTable   = newHeadTable()

	noteTable = newNoteTable()

	noticeTable = newTable("notices", sqlstore.NoticeColumns, -1, 0, []byte{})

	webhookTable  = newTable("webhooks", sqlstore.WebhookColumns, []byte{})
	cursorTable   = newTable("webhook_cursors", sqlstore.WebhookCursorColumns, []byte{})
	deliveryTable = newTable("webhook_deliveries", sqlstore.WebhookDeliveryColumns, []byte{})

	// bulk are the tables of which there may be any number of rows.
	bulk = []table{keyTable, foreignTable, useTable, ownerTable, quotaTable, hourTable, dayTable, seenTable, noticeTable, eventTable, noteTable,
		webhookTable, cursorTable, deliveryTable}
	// marks say where the chains begin and end.
	marks = []table{anchorTable, headTable}
	// everything is all that a move copies. Keys are counted again instead of copying key_counts.
	everything = append(append([]table{}, bulk...), marks...)
)

func newTable(name, columns string, least ...any) table {
	return table{name: name, columns: strings.Fields(strings.ReplaceAll(columns, ",", " ")), least: least}
}

// newHeadTable leaves out the heads of chains without events, which any database may have.
func newHeadTable() table {
	t := newTable("audit_chains", `chain, event_id, seq, hash`, "")
	t.only = ` AND seq > 0`
	t.clash = ` ON CONFLICT (chain) DO UPDATE SET event_id = excluded.event_id, seq = excluded.seq, hash = excluded.hash`
	return t
}

// newNoteTable leaves out the notes about first keys, which concern servers of the source only.
func newNoteTable() table {
	t := newTable("notes", `name, value`, "")
	t.only = ` AND name = '` + sqlstore.RestoredNote + `'`
	return t
}

const (
	// rowsAtStep is how many rows are read at once, and written in one transaction.
	rowsAtStep = 1000
	// rowsAtInsert is how many one statement inserts: more hardly save round trips, and SQLite's parser takes
	// time by the square of the number of arguments.
	rowsAtInsert = 25
)

// last returns the greatest key that is there.
func (t table) last(ctx context.Context, q querier) ([]any, error) {
	last, into := make([]any, len(t.least)), make([]any, len(t.least))
	for i := range last {
		into[i] = &last[i]
	}
	err := q.QueryRowContext(ctx, `SELECT `+t.key()+` FROM `+t.name+` ORDER BY `+
		strings.ReplaceAll(t.key(), ",", " DESC,")+` DESC LIMIT 1`).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return t.least, nil
	}
	return last, err
}

// key is the columns of the primary key.
func (t table) key() string { return strings.Join(t.columns[:len(t.least)], ", ") }

// after returns some rows after a key.
func (t table) after(ctx context.Context, q querier, key []any) (all [][]any, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	places := make([]string, len(key))
	for i := range places {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	rows, err := q.QueryContext(ctx, `SELECT `+strings.Join(t.columns, ", ")+` FROM `+t.name+
		` WHERE (`+t.key()+`) > (`+strings.Join(places, ", ")+`)`+t.only+` ORDER BY `+t.key()+
		fmt.Sprintf(` LIMIT $%d`, len(key)+1), append(slices.Clip(key), rowsAtStep)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		row, into := make([]any, len(t.columns)), make([]any, len(t.columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// each goes through all rows, some at a time.
func (t table) each(ctx context.Context, q querier, do func(rows [][]any) error) error {
	for last := t.least; ; {
		rows, err := t.after(ctx, q, last)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := do(rows); err != nil {
			return err
		}
		last = rows[len(rows)-1][:len(t.least)]
	}
}

// all returns all rows, of a table that has few.
func (t table) all(ctx context.Context, q querier) (all [][]any, err error) {
	err = t.each(ctx, q, func(rows [][]any) error {
		all = append(all, rows...)
		return nil
	})
	return all, err
}

// insert writes rows.
func (t table) insert(ctx context.Context, tx *sql.Tx, rows [][]any) error {
	for len(rows) > 0 {
		some := rows[:min(len(rows), rowsAtInsert)]
		rows = rows[len(some):]
		args := make([]any, 0, len(some)*len(t.columns))
		for _, row := range some {
			args = append(args, row...)
		}
		if _, err := tx.ExecContext(ctx, t.insertion(len(some)), args...); err != nil {
			return err
		}
	}
	return nil
}

// insertion is the statement that inserts so many rows.
func (t table) insertion(rows int) string {
	var b strings.Builder
	b.WriteString(`INSERT INTO ` + t.name + ` (` + strings.Join(t.columns, ", ") + `) VALUES `)
	for n := range rows * len(t.columns) {
		switch {
		case n == 0:
			b.WriteString(`(`)
		case n%len(t.columns) == 0:
			b.WriteString(`), (`)
		default:
			b.WriteString(`, `)
		}
		fmt.Fprintf(&b, "$%d", n+1)
	}
	return b.String() + `)` + t.clash
}

// insertAnchor writes a row of anchorTable. A trigger demands that an anchor is an event, and retention has
// removed this one. So another row stands in for it, and is deleted once the anchor permits that.
func insertAnchor(ctx context.Context, tx *sql.Tx, anchor []any) error {
	chain, event, seq, hash, at := anchor[0], anchor[1], anchor[2], anchor[3], anchor[4]
	standIn := []any{event, at, "anchor", event, "", "", "{}", nil, "", "", "", chain, seq, hash}
	if err := eventTable.insert(ctx, tx, [][]any{standIn}); err != nil {
		return err
	}
	if err := anchorTable.insert(ctx, tx, [][]any{anchor}); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM audit_events WHERE id = $1`, event)
	return err
}

// checksum is the SHA-256 and the number of the rows of each table.
type checksum struct {
	tables []table
	sums   map[string][]byte
	rows   map[string]int64
}

// sumOf goes through all rows of some tables.
func sumOf(ctx context.Context, q querier, tables []table, progress func(done int64)) (checksum, error) {
	c := checksum{tables: tables, sums: make(map[string][]byte), rows: make(map[string]int64)}
	done := int64(0)
	for _, t := range tables {
		sum := sha256.New()
		err := t.each(ctx, q, func(rows [][]any) error {
			done += int64(len(rows))
			c.rows[t.name] += int64(len(rows))
			progress(done)
			return addRows(sum, rows)
		})
		if err != nil {
			return c, err
		}
		c.sums[t.name] = sum.Sum(nil)
	}
	return c, nil
}

// addRows hashes rows: each value with its kind and length, so that no two lists of values hash alike.
func addRows(to hash.Hash, rows [][]any) error {
	var text []byte
	for _, row := range rows {
		text = text[:0]
		for _, value := range row {
			switch v := value.(type) {
			case nil:
				text = append(text, 'n')
			case int64:
				text = strconv.AppendInt(append(text, 'i'), v, 10)
			case string:
				text = append(strconv.AppendInt(append(text, 't'), int64(len(v)), 10), ':')
				text = append(text, v...)
			case []byte:
				text = append(strconv.AppendInt(append(text, 'b'), int64(len(v)), 10), ':')
				text = append(text, v...)
			default:
				return fmt.Errorf("a value is of the type %T", value)
			}
			text = append(text, ',')
		}
		_, _ = to.Write(text) // a hash takes everything
	}
	return nil
}

// text is one hash for all tables.
func (c checksum) text() string {
	sum := sha256.New()
	for _, t := range c.tables {
		_, _ = fmt.Fprintf(sum, "%s:%x,", t.name, c.sums[t.name])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// difference says in which table the rows differ; it is empty if they are the same.
func (c checksum) difference(target checksum) string {
	for _, t := range c.tables {
		switch here, there := c.rows[t.name], target.rows[t.name]; {
		case here != there:
			return fmt.Sprintf("%s has %d rows in the source, and %d in the target", t.name, here, there)
		case string(c.sums[t.name]) != string(target.sums[t.name]):
			return fmt.Sprintf("the rows of %s differ", t.name)
		}
	}
	return ""
}
