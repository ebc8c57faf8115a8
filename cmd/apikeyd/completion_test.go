package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What the scripts ask, and what they are told.
func TestCompletion(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	profiles := filepath.Join(home, ".config", "apikeyd", "profiles")
	must(t, os.MkdirAll(profiles, 0o700))
	for _, name := range []string{"default.json", "staging.json", "notes.txt"} {
		must(t, os.WriteFile(filepath.Join(profiles, name), nil, 0o600))
	}
	for _, test := range []struct {
		name, words, want string // want: the words without what they are for
	}{
		{"commands", "k", "keys"},
		{"hidden ones are not offered", "_", ""},
		{"their commands", "keys r", "rotate revoke"},
		{"flags", "keys verify --s", "--secret-file --scope"},
		{"flags after an argument", "keys revoke ci --y", "--yes"},
		{"no flags of another command", "keys list --grace", ""},
		{"a flag's values", "keys list --status ", "active expired revoked"},
		{"begun", "keys list --status e", "expired"},
		{"with an equals sign", "keys list --status=r", "--status=revoked"},
		{"as bash splits it", "keys list --status = r", "revoked"},
		{"an enum", "conformance --format j", "json junit"},
		{"an argument's values", "completion ", "bash zsh fish"},
		{"no second argument", "completion bash ", ""},
		{"profiles", "keys list --profile ", "default staging"},
		{"files", "keys get ci --database ", ":files"},
		{"after a flag without a value", "keys list --json --status a", "active"},
		{"nothing for a text", "keys create --name ", ""},
		{"arguments only", "keys -- l", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"__complete", "--"}, strings.Split(test.words, " ")...)
			cmd, err := program(t.TempDir(), []string{"HOME=" + home}, args...)
			must(t, err)
			out, err := cmd.Output()
			must(t, err)
			var words []string
			for line := range strings.Lines(string(out)) {
				word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
				words = append(words, word)
			}
			if got := strings.Join(words, " "); got != test.want {
				t.Errorf("%s: %q, want %q", test.words, got, test.want)
			}
		})
	}
}

// The shells themselves, with somebody who presses the tabulator.
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
			path, err := exec.LookPath(shell.name)
			if err != nil {
				if _, ci := os.LookupEnv("CI"); ci {
					t.Fatal(shell.name + " is missing")
				}
				t.Skip(shell.name + " is not on this machine")
			}
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
