package cli

import (
	"io"
	"strings"
	"testing"
)

// The page has every command and flag, and nothing that depends on the day.
func TestManual(t *testing.T) {
	t.Parallel()
	program := newParser(io.Discard, io.Discard).Model.Node
	page := manual(program, "v1.2.3")
	if !strings.HasPrefix(page, `.TH APIKEYD 1 "" "apikeyd v1.2.3" "User Commands"`) {
		t.Errorf("it begins with %.80q", page)
	}
	for _, command := range program.Leaves(true) {
		_, section, found := strings.Cut(page, "\n.SS "+roff(strings.TrimPrefix(command.Summary(), "apikeyd "))+"\n")
		if !found {
			t.Errorf("%s is missing", command.FullPath())
			continue
		}
		section, _, _ = strings.Cut(section, "\n.S")
		for _, flag := range command.Flags {
			if !flag.Hidden && flag.Name != "help" && !strings.Contains(section, roff("--"+flag.Name)) {
				t.Errorf("%s has no --%s", command.FullPath(), flag.Name)
			}
		}
	}
	if strings.Contains(page, "__complete") {
		t.Error("it shows a hidden command")
	}
}

func TestRoff(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "a - b": `a \- b`, `C:\x`: `C:\ex`, ".5\n'x'\na.b": "\\&.5\n\\&'x'\na.b", "1…2": `1\[u2026]2`, "🔑": `\[u1F511]`,
	} {
		if got := roff(text); got != want {
			t.Errorf("roff(%q) = %q, want %q", text, got, want)
		}
	}
}
