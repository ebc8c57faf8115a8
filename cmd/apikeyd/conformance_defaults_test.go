//go:build full

package main

import (
	"strings"
	"testing"
)

// A server as it comes slows down the suite's many failures, which waits as it is told.
func TestConformanceOfDefaults(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	// The first run uses up what its address may fail.
	if out, stderr, status := conform(t, s.dir, nil, "--url", s.url, "--key-file", "admin.key", "--read-only"); status != exitOK {
		t.Errorf("exit status %d\n%s%s", status, out, stderr)
	}
	out, stderr, status := conform(t, s.dir, nil, "--url", s.url, "--key-file", "admin.key")
	if status != exitOK || !strings.Contains(out, "conforms: 88 checks") {
		t.Errorf("exit status %d\n%s%s", status, out, stderr)
	}
	if !strings.Contains(s.output.String(), "too many calls with a bad API key") {
		t.Error("nothing was slowed down")
	}
}
