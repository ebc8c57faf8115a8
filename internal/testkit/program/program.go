// Package program finds the external programs that tests with the tag "full" run, and collects what
// programs write. It is for tests only.
package program

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
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

// Output collects what a program writes. It is safe for concurrent use.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns everything written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// End returns the end of the output, for messages.
func (o *Output) End() string {
	text := o.String()
	return text[max(0, len(text)-2000):]
}
