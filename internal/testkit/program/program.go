// Package program finds the external programs that tests with the tag "full" run. It is for tests
// only.
package program

import (
	"os"
	"os/exec"
	"testing"
)

// Path returns the path of a program, also from /usr/sbin, where Debian installs servers. Without the
// program the test is skipped, or fails if CI is set, where nothing may be missing.
func Path(t testing.TB, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	Missing(t, name)
	return ""
}

// Missing skips the test, or fails it if CI is set.
func Missing(t testing.TB, what string) {
	t.Helper()
	if _, ci := os.LookupEnv("CI"); ci {
		t.Fatal(what + " is missing")
	}
	t.Skip("this test needs " + what + ", which this machine does not have")
}
