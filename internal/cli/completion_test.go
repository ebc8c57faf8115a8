package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The questions of the scripts, and the answers.
func TestCompletion(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	profiles := filepath.Join(home, ".config", "apikeyd", "profiles")
	must(t, os.MkdirAll(profiles, 0o700))
	for _, name := range []string{"default.json", "staging.json", "notes.txt"} {
		must(t, os.WriteFile(filepath.Join(profiles, name), nil, 0o600))
	}
	for _, test := range []struct {
		name, words, want string // want: the candidates without their help
	}{
		{"commands", "k", "keys"},
		{"hidden ones are not offered", "_", ""},
		{"their commands", "keys r", "review rotate resume revoke"},
		{"flags", "keys verify --s", "--secret-file --scope"},
		{"flags after an argument", "keys revoke ci --y", "--yes"},
		{"no flags of another command", "keys list --grace", ""},
		{"a flag's values", "keys list --status ", "active expired revoked"},
		{"begun", "keys list --status e", "expired"},
		{"with an equals sign", "keys list --status=r", "--status=revoked"},
		{"as bash splits it", "keys list --status = r", "revoked"},
		{"an enum", "conformance --format j", "json junit"},
		{"flags of checks", "conformance --url x --o", "--only"},
		{"an argument's values", "completion ", "bash zsh fish"},
		{"no second argument", "completion bash ", ""},
		{"profiles", "keys list --profile ", "default staging"},
		{"files", "keys get ci --database ", ":files"},
		{"after a flag without a value", "keys list --json --status a", "active"},
		{"nothing for a text", "keys create --name ", ""},
		{"arguments only", "keys -- l", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, _, status := runHere(t, "", append([]string{"__complete", "--"}, strings.Split(test.words, " ")...)...)
			if status != exitOK {
				t.Fatalf("exit status %d", status)
			}
			var words []string
			for line := range strings.Lines(out) {
				word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
				words = append(words, word)
			}
			if got := strings.Join(words, " "); got != test.want {
				t.Errorf("%s: %q, want %q", test.words, got, test.want)
			}
		})
	}
}
