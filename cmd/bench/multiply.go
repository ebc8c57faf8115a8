package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"apikeyd/apikey"
	"apikeyd/store/sqlstore"
)

// openRaw opens a SQLite file beside the store, which must not have it open.
func openRaw(path string, pragmas ...string) (*sql.DB, error) {
	dsn := "file:" + path + "?"
	for _, pragma := range pragmas {
		dsn += "_pragma=" + pragma + "&"
	}
	db, err := sql.Open("sqlite", dsn)
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

// multiply makes the many keys of the first one: each row is a copy with an id, owner, name, secret and scopes of its
// own. Nothing is synced, indexes are made at the end, and the audit log lacks these keys, as if it had been pruned:
// that takes a quarter of the time of creating them.
func (s seed) multiply(ctx context.Context, secrets io.Writer) (err error) {
	db, err := openRaw(s.database(), "journal_mode(OFF)", "synchronous(OFF)", "cache_size(-262144)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	indexes, err := dropIndexes(ctx, tx)
	if err != nil {
		return err
	}
	if err := s.insertCopies(ctx, tx, secrets); err != nil {
		return err
	}
	for _, index := range indexes {
		if _, err := tx.ExecContext(ctx, index); err != nil {
			return err
		}
	}
	if err := sqlstore.RecountIn(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `PRAGMA journal_mode = WAL`)
	return err
}

// dropIndexes drops the indexes of the keys, and returns the statements that make them.
func dropIndexes(ctx context.Context, tx *sql.Tx) (statements []string, err error) {
	rows, err := tx.QueryContext(ctx,
		`SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'api_keys' AND sql IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name, statement string
		if err := rows.Scan(&name, &statement); err != nil {
			return nil, err
		}
		names, statements = append(names, name), append(statements, statement)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := tx.ExecContext(ctx, `DROP INDEX `+name); err != nil {
			return nil, err
		}
	}
	return statements, nil
}

// insertCopies inserts all keys but the first, and writes every few secrets.
func (s seed) insertCopies(ctx context.Context, tx *sql.Tx, secrets io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first, err := readRow(ctx, tx, `SELECT * FROM api_keys WHERE name = $1`, keyName(0))
	if err != nil {
		return err
	}
	insert, err := tx.PrepareContext(ctx, first.insert("api_keys", 0))
	if err != nil {
		return err
	}
	defer insert.Close()
	// The driver watches for the end of each statement's context, and these are short: the drafts end instead.
	endless, lines := context.WithoutCancel(ctx), bufio.NewWriter(secrets)
	i := 0
	for d := range s.draftCopies(ctx) {
		if d.err != nil {
			return d.err
		}
		first.set(d.key)
		if _, err := insert.ExecContext(endless, first.values...); err != nil {
			return err
		}
		if i++; i%s.stride() == 0 {
			if _, err := lines.WriteString(d.secret + "\n"); err != nil {
				return err
			}
		}
	}
	return errors.Join(ctx.Err(), lines.Flush())
}

// drafted is a key that is not stored yet.
type drafted struct {
	key    apikey.Key
	secret string
	err    error
}

// draftCopies drafts all keys but the first, while earlier ones are inserted.
func (s seed) draftCopies(ctx context.Context) <-chan drafted {
	copies := make(chan drafted, 1024)
	go func() {
		defer close(copies)
		for i := 1; i < s.keys; i++ {
			var d drafted
			d.key, d.secret, d.err = newKey(draftOf(i))
			select {
			case copies <- d:
			case <-ctx.Done():
				return
			}
		}
	}()
	return copies
}

// tableRow is a row of a table, whatever columns that has.
type tableRow struct {
	columns []string
	values  []any
}

// readRow reads one row.
func readRow(ctx context.Context, tx *sql.Tx, query string, args ...any) (*tableRow, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	r := &tableRow{}
	if r.columns, err = rows.Columns(); err != nil {
		return nil, err
	}
	if !rows.Next() {
		return nil, errors.Join(sql.ErrNoRows, rows.Err())
	}
	r.values = make([]any, len(r.columns))
	into := make([]any, len(r.columns))
	for i := range into {
		into[i] = &r.values[i]
	}
	return r, rows.Scan(into...)
}

// insert returns a statement that inserts such a row, with placeholders after the first few.
func (r *tableRow) insert(table string, after int) string {
	places := make([]string, len(r.columns))
	for i := range places {
		places[i] = fmt.Sprintf("$%d", after+i+1)
	}
	return `INSERT INTO ` + table + ` (` + strings.Join(r.columns, ", ") + `) VALUES (` + strings.Join(places, ", ") + `)`
}

func (r *tableRow) put(column string, value any) {
	if i := slices.Index(r.columns, column); i >= 0 {
		r.values[i] = value
	}
}

// set makes the row another key's.
func (r *tableRow) set(key apikey.Key) {
	r.put("id", key.ID[:])
	r.put("owner", key.Owner)
	r.put("name", key.Name)
	r.put("prefix", key.Prefix)
	r.put("scopes", key.Scopes.String())
	r.put("secret_hash", key.SecretHash[:])
}
