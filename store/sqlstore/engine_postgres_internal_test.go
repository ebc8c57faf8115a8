//go:build full

package sqlstore

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	postgrestest "apikeyd/internal/testkit/postgres"
	"apikeyd/store"
)

// A node falls silent in the midst of a transaction, as one that is cut off from the
// database does: others do not wait for its locks for ever, and its change is not made.
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

// A session that ended is worth another try at once; a server that refuses connections is not.
func TestSessionEnded(t *testing.T) {
	t.Parallel()
	said := func(code string) error { return &pgconn.PgError{Severity: "FATAL", Code: code} }
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"terminated":                       {said("57P01"), true},
		"idle for too long":                {said("57P05"), true},
		"silent in a transaction":          {said("25P03"), false},
		"ended while its settings are set": {&sessionError{said("57P01")}, true},
		"an error of a statement":          {&pgconn.PgError{Severity: "ERROR", Code: "23505"}, false},
		"nothing":                          {nil, false},
	} {
		if got := (&postgresEngine{}).sessionEnded(tt.err); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	_, refused := pgconn.Connect(t.Context(), "postgres://nobody-of-that-name@"+postgrestest.Shared(t).Address+"/postgres?sslmode=disable")
	if code := (&pgconn.PgError{}); !errors.As(refused, &code) || code.Severity != "FATAL" {
		t.Fatalf("the server says %v", refused)
	}
	if (&postgresEngine{}).sessionEnded(refused) {
		t.Errorf("a connection that was refused is tried again: %v", refused)
	}
}
