//go:build full

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"apikeyd/internal/testkit/program"
)

// The real shells complete when a person presses the tab key.
func TestCompletionInShells(t *testing.T) {
	t.Parallel()
	for _, shell := range []struct {
		name string
		args []string
		load string
	}{
		{"bash", []string{"--norc", "--noprofile", "-i"}, "source <(apikeyd completion bash)"},
		{"zsh", []string{"-f", "-i"}, "autoload -U compinit; compinit -u -D; source <(apikeyd completion zsh)"},
		{"fish", []string{"--no-config", "-i", "-C", "function fish_prompt; printf '$ '; end"}, "apikeyd completion fish | source"},
	} {
		t.Run(shell.name, func(t *testing.T) {
			t.Parallel()
			path := program.Path(t, shell.name)
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, "my keys.db"), []byte("Dear diary,\n"), 0o600))
			cmd := exec.CommandContext(t.Context(), path, shell.args...)
			cmd.Dir = dir
			// TestMain has put a program called apikeyd on the path.
			cmd.Env = append(os.Environ(), "HOME="+dir, "TERM=xterm", "PS1=$ ", "XDG_CONFIG_HOME=", "XDG_DATA_HOME=")
			at := atTerminal(t, cmd)
			at.sees("$ ")
			at.types(shell.load + "; echo rea''dy\r")
			at.sees("ready")

			at.types("apikeyd keys rot\t--help\r") // a command
			at.sees("Usage: apikeyd keys rotate <key>")
			at.types("apikeyd keys list --stat\texp\t --help\r") // a flag and its value
			at.sees("Usage: apikeyd keys list [flags]")
			at.types("apikeyd keys list --database my\t\r") // a file
			at.sees("database my keys.db: this is not a database of apikeyd")
			at.types("exit\r")
			at.ends(exitFailure) // that of the last command
		})
	}
}
