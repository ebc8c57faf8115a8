//go:build full

package handlers_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"apikeyd/apikey"
	"apikeyd/internal/testkit/program"
	servertest "apikeyd/internal/testkit/server"
)

// The Python in docs/api.md runs as it stands there.
func TestPythonInDocs(t *testing.T) {
	t.Parallel()
	python := program.Path(t, "python3")
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, script, found := strings.Cut(string(text), "```python\n")
	script, _, _ = strings.Cut(script, "```")
	if !found {
		t.Fatal("docs/api.md has no Python")
	}
	s := servertest.Start(t, servertest.Options{})
	_, secret := s.Add(t, "admin", "admin", apikey.ScopeAdmin)
	cmd := exec.CommandContext(t.Context(), python, "-c", script)
	cmd.Env = append(os.Environ(), "URL="+s.URL, "KEY="+secret.Reveal())
	out, err := cmd.CombinedOutput()
	if want := "python/50 % REVOKED\n"; err != nil || string(out) != want {
		t.Errorf("it prints %q (%v), want %q", out, err, want)
	}
}
