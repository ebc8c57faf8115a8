//go:build full

package migratestore_test

import (
	"testing"

	databasetest "apikeyd/internal/testkit/database"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store"
	"apikeyd/store/migratestore"
	"apikeyd/store/sqlstore"
)

// Everything arrives as it was, there and back, between all kinds of databases.
func TestMoveThroughServers(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Shared(t)
	testMove(t, cluster.Database(t), cluster.Database(t), databasetest.NewPath(t), databasetest.NewPath(t))
}

func TestMoveToAServerResumes(t *testing.T) {
	t.Parallel()
	testMoveResumes(t, postgrestest.Shared(t).Database(t))
}

func TestMoveRefusalsOfServers(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.Shared(t)
	from := databasetest.NewPath(t)
	furnish(t, from, 30)
	taken, strange := cluster.Database(t), cluster.Database(t)
	furnish(t, taken, 30)
	cluster.SQL(t, strange, `CREATE TABLE api_keys (id INT)`)
	served := cluster.Database(t)
	databasetest.OpenWith(t, sqlstore.Options{Path: served, Node: "n", Serve: true})

	testMoveRefusals(t, map[string]refusedMove{
		"into another on a server":     {from, taken, migratestore.ErrTargetTaken},
		"into a foreign one":           {from, strange, store.ErrForeign},
		"into one with a node":         {from, served, store.ErrInUse},
		"from one with a node":         {served, databasetest.NewPath(t), store.ErrInUse},
		"from nothing on a server":     {cluster.Database(t), databasetest.NewPath(t), sqlstore.ErrEmpty},
		"from something else's server": {strange, databasetest.NewPath(t), store.ErrForeign},
	})
}
