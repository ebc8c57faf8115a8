package postgres_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	postgrestest "apikeyd/internal/testkit/postgres"
)

// TestMain fails if anything still runs when all tests have closed what they opened.
func TestMain(m *testing.M) { goleak.VerifyTestMain(postgrestest.Main(m)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error is %v, want %v", got, want)
	}
}
