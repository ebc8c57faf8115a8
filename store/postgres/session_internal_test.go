//go:build full

package postgres

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	postgrestest "apikeyd/internal/testkit/postgres"
)

// After the end of a session a retry at once is useful; after a refused connection it is not.
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
		if got := SessionEnded(tt.err); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	_, refused := pgconn.Connect(t.Context(), "postgres://nobody-of-that-name@"+postgrestest.Shared(t).Address+"/postgres?sslmode=disable")
	if code := (&pgconn.PgError{}); !errors.As(refused, &code) || code.Severity != "FATAL" {
		t.Fatalf("the server says %v", refused)
	}
	if SessionEnded(refused) {
		t.Errorf("a connection that was refused is tried again: %v", refused)
	}
}
