package gen_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWalkthrough makes the change that CONTRIBUTING.md walks through, in a copy of the
// project: the build must break where it says, and nowhere else, and pass after what
// it says is written.
func TestWalkthrough(t *testing.T) {
	guide, err := os.ReadFile("../CONTRIBUTING.md")
	must(t, err)
	dir := copyProject(t)
	edits := parseEdits(t, string(guide))
	if len(edits) != 4 {
		t.Fatalf("the walk-through has %d edits, want one of the contract and three of handlers", len(edits))
	}
	apply(t, dir, edits[0])
	generate(t, dir)
	output, err := run(dir, "build", "./...")
	if err == nil {
		t.Fatal("nothing is missing after the contract changed")
	}
	want := []string{
		"handlers/conversions.go: cannot convert createdAnswer to type gen.ApiKeyWithSecretResponse",
		"handlers/conversions.go: cannot convert keyAnswer to type gen.ApiKeyResponse",
		"handlers/encoding.go: cannot convert r to type *keyAnswer",
		"handlers/server.go: missing method CountApiKeys",
	}
	if diff := cmp.Diff(want, places(output)); diff != "" {
		t.Errorf("the build breaks elsewhere (-want +got):\n%s\n%s", diff, output)
	}
	for _, edit := range edits[1:] {
		apply(t, dir, edit)
	}
	for _, args := range [][]string{
		{"build", "./..."},
		// The new operation is guarded, and answers hold against the new contract.
		{"test", "-vet=off", "-run", "^(TestEveryOperationIsGuarded|TestLifecycle|TestEncoding)$", "./handlers"},
	} {
		if output, err := run(dir, args...); err != nil {
			t.Errorf("go %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
}

// edit changes a file, or makes one.
type edit struct {
	file    string
	content string // of a new file
	hunks   []hunk
}

// hunk replaces a run of lines.
type hunk struct{ old, new string }

var block = regexp.MustCompile("(?s)```(diff|go)\n(.*?)```")

// parseEdits reads the blocks of the walk-through: a diff names its file in its first
// line, a new file in its first comment.
func parseEdits(t *testing.T, guide string) []edit {
	t.Helper()
	var edits []edit
	for _, match := range block.FindAllStringSubmatch(guide, -1) {
		first, rest, _ := strings.Cut(match[2], "\n")
		if match[1] == "go" {
			edits = append(edits, edit{file: strings.TrimPrefix(first, "// "), content: rest})
			continue
		}
		e := edit{file: strings.TrimPrefix(first, "--- ")}
		for text := range strings.SplitSeq(strings.TrimPrefix(rest, "@@\n"), "@@\n") {
			e.hunks = append(e.hunks, parseHunk(t, text))
		}
		edits = append(edits, e)
	}
	return edits
}

func parseHunk(t *testing.T, text string) hunk {
	t.Helper()
	var h hunk
	for line := range strings.Lines(text) {
		switch line[0] {
		case ' ':
			h.old += line[1:]
			h.new += line[1:]
		case '-':
			h.old += line[1:]
		case '+':
			h.new += line[1:]
		default:
			t.Fatalf("no line of a diff: %q", line)
		}
	}
	return h
}

func apply(t *testing.T, dir string, e edit) {
	t.Helper()
	file := filepath.Join(dir, e.file)
	content := e.content
	if content == "" {
		text, err := os.ReadFile(file)
		must(t, err)
		content = string(text)
	}
	for _, h := range e.hunks {
		if n := strings.Count(content, h.old); n != 1 {
			t.Fatalf("%s has this %d times, want once:\n%s", e.file, n, h.old)
		}
		content = strings.Replace(content, h.old, h.new, 1)
	}
	must(t, os.WriteFile(file, []byte(content), 0o600))
}

// places lists what the compiler says is missing, and in which file.
func places(output string) []string {
	var found []string
	for _, m := range regexp.MustCompile(`(?m)^(\S+?):\d+:\d+: .*?(cannot convert|missing method) (\w+)(?:.* to type (\S+))?`).
		FindAllStringSubmatch(output, -1) {
		place := m[1] + ": " + m[2] + " " + m[3]
		if m[4] != "" {
			place += " to type " + m[4]
		}
		found = append(found, place)
	}
	// Whatever else the compiler says is shown as it is.
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "\t") &&
			!strings.Contains(line, "cannot convert") && !strings.Contains(line, "missing method") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// copyProject copies what go build and go test need.
func copyProject(t *testing.T) string {
	t.Helper()
	root, dir := os.DirFS(".."), t.TempDir()
	must(t, fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{".git", "bin", "node_modules"}, entry.Name()) {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(dir, path), 0o700)
		}
		text, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, path), text, 0o600)
	}))
	return dir
}

// generate is make generate, as far as Go needs it.
func generate(t *testing.T, dir string) {
	t.Helper()
	if output, err := run(dir, "tool", "oapi-codegen", "--config", "oapi-codegen.yaml", "openapi.yaml"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	text, err := os.ReadFile(filepath.Join(dir, "openapi.yaml"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "gen", "openapi.yaml"), text, 0o600))
}

func run(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	return string(output), err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
