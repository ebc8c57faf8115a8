package gen_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWalkthroughApplies applies the edits that CONTRIBUTING.md walks through: each must find
// its place in the sources. TestWalkthrough builds what comes of them.
func TestWalkthroughApplies(t *testing.T) {
	newProject(t).apply(readEdits(t)...)
}

// readEdits reads the edits of the walk-through: the contract's, then those of handlers.
func readEdits(t *testing.T) []edit {
	t.Helper()
	guide, err := os.ReadFile("../CONTRIBUTING.md")
	must(t, err)
	edits := parseEdits(t, string(guide))
	if len(edits) != 4 {
		t.Fatalf("the walk-through has %d edits, want one of the contract and three of handlers", len(edits))
	}
	return edits
}

// project is the project as it is, but for the files that were edited. Those are in a folder
// of their own.
type project struct {
	*testing.T
	root   string
	folder string
	edited map[string]string // where they are, by their paths in the project
}

func newProject(t *testing.T) *project {
	t.Helper()
	root, err := filepath.Abs("..")
	must(t, err)
	return &project{t, root, t.TempDir(), map[string]string{}}
}

// read returns the text of a file, edited or not.
func (p *project) read(file string) string {
	p.Helper()
	where, edited := p.edited[file]
	if !edited {
		where = filepath.Join(p.root, file)
	}
	text, err := os.ReadFile(where)
	must(p.T, err)
	return string(text)
}

func (p *project) write(file, text string) {
	p.Helper()
	p.edited[file] = filepath.Join(p.folder, strings.ReplaceAll(file, "/", "-"))
	must(p.T, os.WriteFile(p.edited[file], []byte(text), 0o600))
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
