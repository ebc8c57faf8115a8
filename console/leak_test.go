package console_test

import (
	"testing"

	"go.uber.org/goleak"
)

// shared are things that tests share, to be closed after the last of them.
var shared []closer

type closer interface{ Close() }

// share has something closed after the last test.
func share[T closer](c T) T {
	shared = append(shared, c)
	return c
}

// TestMain fails if anything still runs when all tests have closed what they opened.
func TestMain(m *testing.M) { goleak.VerifyTestMain(closing{m}) }

// closing runs all tests, and then closes what they share.
type closing struct{ *testing.M }

func (c closing) Run() int {
	code := c.M.Run()
	for _, s := range shared {
		s.Close()
	}
	return code
}
