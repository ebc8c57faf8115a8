// Package program finds the programs that tests of the tag "full" run beside ours. It is for
// tests only.
package program

import (
	"os"
	"os/exec"
	"testing"
)

// Path returns where a program is, looking in /usr/sbin too, where Debian has its servers.
// Without it the test is skipped, or fails if CI is set: there, nothing may be missing.
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
