package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // RecountIn takes a transaction of database/sql

	"apikeyd/apikey"
	"apikeyd/store/sqlstore"
)

// copyTo copies the keys of a seed into an empty database of PostgreSQL.
func (s seed) copyTo(ctx context.Context, url string) (err error) {
	db, err := sqlstore.Open(ctx, sqlstore.Options{Path: url, Node: "seed", Serve: true})
	if err == nil {
		err = db.Close() // there are tables now
	}
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if err := s.copyKeys(ctx, conn); err != nil {
		return err
	}
	if err := recount(ctx, url); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `VACUUM ANALYZE`)
	return err
}

func (s seed) copyKeys(ctx context.Context, conn *pgx.Conn) (err error) {
	from, err := openRaw(s.database(), "query_only(1)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	rows, err := from.QueryContext(ctx, `SELECT * FROM api_keys ORDER BY id`) //nolint:sqlclosecheck // the defer is below
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"api_keys"}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		if !rows.Next() {
			return nil, rows.Err()
		}
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range into {
			into[i] = &values[i]
		}
		return values, rows.Scan(into...)
	}))
	return err
}

func recount(ctx context.Context, url string) (err error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := sqlstore.RecountIn(ctx, tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// inserts write what a creation writes, a key and its audit event, with nothing around it: one statement and one
// commit for each pair of rows.
type inserts struct {
	url        string
	key, event tableRow // the last ones that apikeyd wrote
}

// newInserts learns from the last creation, so there must have been one.
func newInserts(ctx context.Context, url string) (i inserts, err error) {
	i.url = url
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return i, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	for table, row := range map[string]*tableRow{"api_keys": &i.key, "audit_events": &i.event} {
		rows, err := conn.Query(ctx, `SELECT * FROM `+table+` ORDER BY id DESC LIMIT 1`)
		if err != nil {
			return i, err
		}
		for _, field := range rows.FieldDescriptions() {
			row.columns = append(row.columns, field.Name)
		}
		row.values, err = pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) ([]any, error) { return r.Values() })
		if err != nil {
			return i, fmt.Errorf("%s: %w", table, err)
		}
	}
	return i, nil
}

// statement inserts both rows.
func (i inserts) statement() string {
	return `WITH made AS (` + i.key.insert("api_keys", 0) + `) ` + i.event.insert("audit_events", len(i.key.columns))
}

// rate returns how many pairs of rows as many callers insert in a second, each on a connection of its own.
func (i inserts) rate(ctx context.Context, callers int, lasting time.Duration) (float64, error) {
	conns := make([]*pgx.Conn, callers)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close(ctx)
			}
		}
	}()
	for n := range conns {
		var err error
		if conns[n], err = pgx.Connect(ctx, i.url); err != nil {
			return 0, err
		}
		if err := i.once(ctx, conns[n]); err != nil { // it prepares the statement
			return 0, err
		}
	}
	var (
		made    atomic.Int64
		running sync.WaitGroup
		errs    = make([]error, callers)
		start   = time.Now()
	)
	for n, conn := range conns {
		running.Go(func() {
			for errs[n] == nil && time.Since(start) < lasting {
				errs[n] = i.once(ctx, conn)
				made.Add(1)
			}
		})
	}
	running.Wait()
	return float64(made.Load()) / time.Since(start).Seconds(), errors.Join(errs...)
}

// once inserts another key and its event.
func (i inserts) once(ctx context.Context, conn *pgx.Conn) error {
	id, event := apikey.NewID(), apikey.NewID()
	key := tableRow{i.key.columns, slices.Clone(i.key.values)}
	made := tableRow{i.event.columns, slices.Clone(i.event.values)}
	hash := make([]byte, len(apikey.Hash{}))
	_, _ = rand.Read(hash) // never fails
	name := "inserted " + id.String()
	key.put("id", id[:])
	key.put("name", name)
	key.put("secret_hash", hash)
	made.put("id", event[:])
	made.put("key_id", id[:])
	made.put("name", name)
	made.put("chain", "inserts")
	_, err := conn.Exec(ctx, i.statement(), append(key.values, made.values...)...)
	return err
}
