package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pending are documents that are linked to but do not exist yet.
var pending = []string{}

var (
	link    = regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Every link within the project leads to an existing file and heading.
func TestLinks(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("../../docs/*.md")
	must(t, err)
	for _, path := range append(documents, "../../README.md", "../../CONTRIBUTING.md", "../../CHANGELOG.md") {
		for _, found := range link.FindAllStringSubmatch(prose(t, path), -1) {
			file, section := found[1], found[2]
			if strings.Contains(file, "://") || slices.Contains(pending, filepath.Base(file)) {
				continue
			}
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", path, file)
			} else if section != "" && !slices.Contains(sections(prose(t, target)), section) {
				t.Errorf("%s links to %s#%s, and there is no such heading", path, file, section)
			}
		}
	}
}

// prose returns a document without its code.
func prose(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return fenced.ReplaceAllString(string(text), "")
}

// sections are a document's headings as links name them.
func sections(document string) (names []string) {
	for _, found := range heading.FindAllStringSubmatch(document, -1) {
		name := noSlug.ReplaceAllString(strings.ToLower(found[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}
