package console_test

import (
	"testing"

	"go.uber.org/goleak"
)

// shared are resources that tests share. They are closed after the last test.
var shared []closer

type closer interface{ Close() }

// share registers c to be closed after the last test.
func share[T closer](c T) T {
	shared = append(shared, c)
	return c
}

// TestMain fails if goroutines are left after all tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(closing{m}) }

// closing runs all tests and then closes the shared resources.
type closing struct{ *testing.M }

func (c closing) Run() int {
	code := c.M.Run()
	for _, s := range shared {
		s.Close()
	}
	return code
}
