//go:build full

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"apikeyd/internal/testkit/program"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// A cluster of our own has a seed's keys, and takes single inserts of what a creation writes.
func TestPostgres(t *testing.T) {
	t.Parallel()
	if _, err := postgresBinaries(); err != nil {
		program.Missing(t, "the programs of a PostgreSQL server")
	}
	folder := t.TempDir()
	s, err := makeSeed(t.Context(), t.TempDir(), 250)
	must(t, err)
	searchable(t, folder)
	c, err := startCluster(t.Context(), folder)
	must(t, err)
	defer func() { must(t, c.stop()) }()
	must(t, s.copyTo(t.Context(), c.url))
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: c.url, Node: "test", Serve: true})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	total := func() int {
		page, err := db.Keys(t.Context(), store.Query{Limit: 1})
		must(t, err)
		return page.Total
	}
	if got, want := total(), 250+len(callers); got != want {
		t.Errorf("%d keys, want %d", got, want)
	}
	_, err = create(t.Context(), db, draftOf(1000))
	must(t, err)
	i, err := newInserts(t.Context(), c.url)
	must(t, err)
	rate, err := i.rate(t.Context(), 4, 100*time.Millisecond)
	if err != nil || rate <= 0 {
		t.Errorf("%f inserts per second, error %v", rate, err)
	}
	for chain, want := range map[string]bool{"test": true, "inserts": true, "nobody": false} {
		var found bool
		must(t, queryRow(t, c.url, `SELECT EXISTS (SELECT 1 FROM audit_events JOIN api_keys ON api_keys.id = key_id
			WHERE chain = `+"'"+chain+"'"+`)`, &found))
		if found != want {
			t.Error("an event of the chain " + chain + ": " + strconv.FormatBool(found))
		}
	}
}

func queryRow(t *testing.T, url, query string, into any) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	return errors.Join(conn.QueryRow(t.Context(), query).Scan(into), conn.Close(t.Context()))
}

// searchable lets other users reach a folder of a test: PostgreSQL does not run as root.
func searchable(t *testing.T, folder string) {
	t.Helper()
	for dir := folder; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o711))
	}
}
