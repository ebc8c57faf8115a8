//go:build full

package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver

	"apikeyd/apikey"
	databasetest "apikeyd/internal/testkit/database"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// Scans that do not end delay nobody else: neither look-ups nor probes, changes
// or the lists of another owner. More of them than one key may have are refused.
func TestScansThatDoNotEnd(t *testing.T) {
	t.Parallel()
	address := postgrestest.Shared(t).Database(t)
	db := databasetest.OpenWith(t, sqlstore.Options{Path: address, Node: "a", Serve: true})
	key := databasetest.Create(t, db, "before")
	other, err := sql.Open("pgx", address)
	must(t, err)
	defer func() { must(t, other.Close()) }()
	lock, err := other.BeginTx(t.Context(), nil)
	must(t, err)
	_, err = lock.ExecContext(t.Context(), `LOCK TABLE audit_anchors IN ACCESS EXCLUSIVE MODE`)
	must(t, err)

	// All of them read the locked table, and wait.
	const scans = 200
	greedy := context.WithValue(t.Context(), store.AskerKey{}, store.Asker{Owner: "greedy", Key: apikey.NewID()})
	ended := make(chan error, scans)
	for range scans {
		go func() {
			_, err := db.VerifyAudit(greedy)
			ended <- err
		}()
	}
	refused := 0
	for ; refused < scans-16; refused++ {
		wantErr(t, <-ended, store.ErrTooManyScans)
	}
	for what, err := range reads(t, db, key) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, db.Ping(t.Context()))
	databasetest.Create(t, db, "meanwhile")
	must(t, lock.Rollback())
	for range scans - refused {
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}
