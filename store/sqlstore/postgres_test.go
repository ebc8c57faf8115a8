//go:build full

package sqlstore_test

import (
	"testing"
	"time"

	databasetest "apikeyd/internal/testkit/database"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/store/storetest"
)

func TestPostgresConformance(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Shared(t)
	storetest.Run(t, func(t *testing.T, now func() time.Time) store.Store {
		return databasetest.OpenWith(t, sqlstore.Options{Path: cluster.Database(t), Node: "main", Serve: true, Now: now})
	})
}
