package gen_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestWalkthroughApplies applies the edits of CONTRIBUTING.md's walk-through, each of which must
// find its place in the sources, and counts the files that a new field takes.
// TestWalkthrough builds and uses the result.
func TestWalkthroughApplies(t *testing.T) {
	field, operation := readEdits(t)
	p := newProject(t)
	p.apply(field...)
	p.apply(operation...)
	files := map[string]bool{}
	for _, e := range field {
		if !strings.HasSuffix(e.file, "_test.go") {
			files[e.file] = true
		}
	}
	const most = 8
	if len(files) > most {
		t.Errorf("a new field takes %d hand-written files, want at most %d: %v", len(files), most, slices.Sorted(maps.Keys(files)))
	}
}

// readEdits reads the edits that add a field and an operation.
func readEdits(t *testing.T) (field, operation []edit) {
	t.Helper()
	guide, err := os.ReadFile("../CONTRIBUTING.md")
	must(t, err)
	return parseSection(t, string(guide), "Adding a field to a key"), parseSection(t, string(guide), "Adding an operation")
}

func parseSection(t *testing.T, guide, heading string) []edit {
	t.Helper()
	_, section, found := strings.Cut(guide, "## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	edits := parseEdits(t, section)
	if !found || len(edits) == 0 || edits[0].file != "openapi.yaml" {
		t.Fatalf("the section %q is not there, or does not begin with the contract", heading)
	}
	return edits
}

// project is the project as it is, but for the files that were edited: those are in a folder
// of their own.
type project struct {
	*testing.T
	root   string
	folder string
}

func newProject(t *testing.T) *project {
	t.Helper()
	root, err := filepath.Abs("..")
	must(t, err)
	return &project{t, root, t.TempDir()}
}

// read returns the text of a file, edited or not.
func (p *project) read(file string) string {
	p.Helper()
	text, err := os.ReadFile(filepath.Join(p.folder, file))
	if errors.Is(err, fs.ErrNotExist) {
		text, err = os.ReadFile(filepath.Join(p.root, file))
	}
	must(p.T, err)
	return string(text)
}

func (p *project) write(file, text string) {
	p.Helper()
	path := filepath.Join(p.folder, file)
	must(p.T, os.MkdirAll(filepath.Dir(path), 0o700))
	must(p.T, os.WriteFile(path, []byte(text), 0o600))
}

func (p *project) apply(edits ...edit) {
	p.Helper()
	for _, e := range edits {
		content := e.content
		if content == "" {
			content = p.read(e.file)
		}
		for _, h := range e.hunks {
			if n := strings.Count(content, h.old); n != 1 {
				p.Fatalf("%s has this %d times, want once:\n%s", e.file, n, h.old)
			}
			content = strings.Replace(content, h.old, h.new, 1)
		}
		p.write(e.file, content)
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

var block = regexp.MustCompile("(?s)```(diff|go|sql)\n(.*?)```")

// parseEdits reads the blocks of the walk-through: a diff names its file in its first
// line, a new file in its first comment.
func parseEdits(t *testing.T, guide string) []edit {
	t.Helper()
	var edits []edit
	for _, match := range block.FindAllStringSubmatch(guide, -1) {
		first, rest, _ := strings.Cut(match[2], "\n")
		if match[1] != "diff" {
			_, file, _ := strings.Cut(first, " ") // behind the sign of a comment
			edits = append(edits, edit{file: file, content: rest})
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
