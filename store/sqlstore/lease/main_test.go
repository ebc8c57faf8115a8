package lease

import (
	"testing"

	"go.uber.org/goleak"

	postgrestest "apikeyd/internal/testkit/postgres"
)

// TestMain fails if anything still runs when all tests have closed what they opened.
func TestMain(m *testing.M) { goleak.VerifyTestMain(postgrestest.Main(m)) }
