package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNamedTests: every test that README.md and docs/security.md name exists.
func TestNamedTests(t *testing.T) {
	t.Parallel()
	const root = "../.."
	there := make(map[string]bool)
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	must(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "node_modules":
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, found := range declared.FindAllStringSubmatch(string(text), -1) {
			there[found[1]] = true
		}
		return err
	}))
	reference := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)\\w+)`")
	for name, least := range map[string]int{"docs/security.md": 40, "README.md": 8} {
		page, err := os.ReadFile(filepath.Join(root, name))
		must(t, err)
		named := reference.FindAllStringSubmatch(string(page), -1)
		if len(named) < least {
			t.Errorf("%s names %d tests: it is not read as it is written", name, len(named))
		}
		for _, found := range named {
			if !there[found[1]] {
				t.Errorf("%s names %s, which does not exist", name, found[1])
			}
		}
	}
}
