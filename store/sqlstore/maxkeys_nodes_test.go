//go:build full

package sqlstore_test

import (
	"testing"

	databasetest "apikeyd/internal/testkit/database"
	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store/sqlstore"
)

// Three nodes on one PostgreSQL never create more keys together than an owner may have.
func TestMaxKeysOfNodes(t *testing.T) {
	t.Parallel()
	path := postgrestest.Shared(t).Database(t)
	var nodes []*sqlstore.DB
	for _, name := range []string{"a", "b", "c"} {
		nodes = append(nodes, databasetest.OpenWith(t, sqlstore.Options{Path: path, Node: name, Serve: true, MaxKeys: 20}))
	}
	checkDefaultMaxKeys(t, nodes...)
}
