package verify_test

import (
	"testing"

	"go.uber.org/goleak"

	"apikeyd/postgrestest"
)

// TestMain fails if anything still runs when all tests have closed what they opened.
func TestMain(m *testing.M) { goleak.VerifyTestMain(postgrestest.Main(m)) }
