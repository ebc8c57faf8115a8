package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// plainCommand serves what people would write instead of apikeyd: a table of hashes, a look-up, and perhaps a map
// in front of it. It checks a key and its scopes, and has nothing else: callers need no key, changes are not seen,
// and the map forgets nothing.
type plainCommand struct {
	Database string `required:""`
	Map      bool
}

// Run serves as the floor does.
func (c plainCommand) Run(ctx context.Context) error {
	db, err := sql.Open("sqlite", "file:"+c.Database+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(runtime.NumCPU()) // more wait for a processor, and idle ones would be closed and opened again
	db.SetMaxIdleConns(runtime.NumCPU())
	find, err := db.PrepareContext(ctx, plainQuery)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	defer find.Close()
	return errors.Join(serve(ctx, plainHandler(find, c.Map)), db.Close())
}

const plainQuery = `SELECT name, owner, scopes, expires_at FROM keys WHERE hash = ?`

type plainKey struct {
	Name, Owner, Scopes string
	ExpiresAt           int64
}

func plainHandler(find *sql.Stmt, remembers bool) http.Handler {
	var known sync.Map
	e := echo.New()
	e.POST("/v1/verify", func(c echo.Context) error {
		var body struct {
			Key    string   `json:"key"`
			Scopes []string `json:"scopes"`
		}
		if err := c.Bind(&body); err != nil {
			return err
		}
		hash, key := sha256.Sum256([]byte(body.Key)), plainKey{}
		if found, ok := known.Load(hash); ok {
			key, _ = found.(plainKey)
		} else {
			row := find.QueryRowContext(c.Request().Context(), hash[:])
			err := row.Scan(&key.Name, &key.Owner, &key.Scopes, &key.ExpiresAt)
			if errors.Is(err, sql.ErrNoRows) {
				return c.JSON(http.StatusOK, map[string]any{"valid": false, "code": "NOT_FOUND"})
			}
			if err != nil {
				return err
			}
			if remembers {
				known.Store(hash, key)
			}
		}
		code, held := "VALID", strings.Fields(key.Scopes)
		if key.ExpiresAt <= time.Now().UnixMilli() {
			code = "EXPIRED"
		}
		for _, scope := range body.Scopes {
			if !slices.Contains(held, scope) {
				code = "INSUFFICIENT_SCOPE"
			}
		}
		return c.JSON(http.StatusOK, map[string]any{"valid": code == "VALID", "code": code, "key": key})
	})
	return e
}

// makePlain makes the plain service's database of a seed's keys.
func makePlain(ctx context.Context, s seed) (err error) {
	if err := os.RemoveAll(s.plain()); err != nil {
		return err
	}
	db, err := openRaw(s.plain(), "journal_mode(OFF)", "synchronous(OFF)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, statement := range []string{
		`CREATE TABLE keys (hash BLOB PRIMARY KEY, name TEXT, owner TEXT, scopes TEXT, expires_at INTEGER) WITHOUT ROWID`,
		`ATTACH '` + strings.ReplaceAll(s.database(), `'`, `''`) + `' AS seed`,
		`INSERT INTO keys SELECT secret_hash, name, owner, scopes, expires_at FROM seed.api_keys ORDER BY secret_hash`,
		`DETACH seed`,
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
