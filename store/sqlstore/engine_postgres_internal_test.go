//go:build full

package sqlstore

import (
	"errors"
	"testing"

	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store"
)

// A node falls silent during a transaction, as if it were cut off from the database: others do not wait forever
// for its locks, and its change is not made.
func TestSilentNodeLosesItsLocks(t *testing.T) {
	t.Parallel()
	url := postgrestest.Shared(t).Database(t)
	open := func() *DB {
		db, err := Open(t.Context(), Options{Path: url, Node: "both", Serve: true}) // one chain, one lock
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	silent, other := open(), open()
	begun, heard, answered := make(chan struct{}), make(chan struct{}), make(chan error)
	key := newKey(t)
	go func() {
		answered <- silent.mutate(t.Context(), store.Operator("test"), func(m *mutation) error {
			close(begun)
			<-heard
			return m.insertKey(key)
		})
	}()
	<-begun
	if err := other.CreateKey(t.Context(), store.Operator("test"), newKey(t)); err != nil {
		t.Error("while another node is silent:", err)
	}
	close(heard)
	if err := <-answered; !errors.Is(err, store.ErrUnavailable) {
		t.Error("the silent node's change:", err)
	}
	if _, err := other.Key(t.Context(), store.ByID(key.ID)); !errors.Is(err, store.ErrNotFound) {
		t.Error("the silent node's key:", err)
	}
}
