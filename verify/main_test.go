package verify_test

import (
	"testing"

	"go.uber.org/goleak"

	postgrestest "apikeyd/internal/testkit/postgres"
)

// TestMain fails if goroutines still run after all tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(postgrestest.Main(m)) }
