package console_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if anything still runs when all tests have closed what they opened.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
