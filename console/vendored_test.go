package console_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Vendored files match assets/VENDORED.md, and their licences are next to them.
func TestVendoredFiles(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("assets/VENDORED.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| (\S+) \| [^|]+ \| ([0-9.]+) \| \w+, in (\S+) \| ([0-9a-f]{64}) \|$`)
	known := map[string]bool{}
	for _, found := range row.FindAllStringSubmatch(string(table), -1) {
		file, version, licence, sum := found[1], found[2], found[3], found[4]
		known[file] = true
		text, err := os.ReadFile(filepath.Join("assets", file))
		if err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256(text); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s differs from the recorded one", file)
		}
		if !bytes.Contains(text, []byte(version)) {
			t.Errorf("%s does not name its version %s", file, version)
		}
		if text, err := os.ReadFile(filepath.Join("assets", licence)); err != nil || len(text) < 500 {
			t.Errorf("the licence of %s is missing: %v", file, err)
		}
	}
	vendored, err := filepath.Glob("assets/*.min.*")
	if err != nil || len(vendored) < 2 {
		t.Fatalf("there are only %q: %v", vendored, err)
	}
	for _, path := range vendored {
		if !known[filepath.Base(path)] {
			t.Errorf("%s is not recorded", path)
		}
	}
}
