package sqlitefile_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if anything still runs when all tests have closed what they opened.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
