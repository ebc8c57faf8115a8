package apikey_test

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"apikeyd/apikey"
)

// formatDoc returns docs/key-format.md. These tests run its vectors and its checker, so that the
// specification stays correct.
func formatDoc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/key-format.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cells returns the rows of the tables in a document, each cell without its quotes.
func cells(document string) [][]string {
	var rows [][]string
	for line := range strings.Lines(document) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		var row []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|\n "), "|") {
			row = append(row, strings.Trim(cell, " `"))
		}
		rows = append(rows, row)
	}
	return rows
}

func vectors(t *testing.T) (good, bad [][]string) {
	t.Helper()
	wellFormed, malformed, found := strings.Cut(formatDoc(t), "\nMalformed:")
	if !found {
		t.Fatal("docs/key-format.md has no malformed vectors")
	}
	good, bad = cells(wellFormed), cells(malformed)
	if len(good) < 4 || len(bad) < 8 {
		t.Fatalf("docs/key-format.md has %d good and %d bad vectors", len(good), len(bad))
	}
	return good, bad
}

func TestVectors(t *testing.T) {
	good, bad := vectors(t)
	for _, row := range good {
		secret, err := apikey.ParseSecret(row[0])
		if err != nil {
			t.Errorf("%s: %v", row[0], err)
			continue
		}
		hash := secret.Hash()
		got := []string{secret.Reveal(), secret.ID().String(), secret.Prefix(), hex.EncodeToString(hash[:])}
		for i := range got {
			if got[i] != row[i] {
				t.Errorf("%s: got %s, want %s", row[0], got[i], row[i])
			}
		}
	}
	for _, row := range bad {
		if _, err := apikey.ParseSecret(row[0]); err == nil {
			t.Errorf("%s was accepted: %s", row[0], row[1])
		}
	}
}

// TestOfflineChecker builds the checker in the specification, and runs it on the vectors and on new secrets.
func TestOfflineChecker(t *testing.T) {
	_, after, _ := strings.Cut(formatDoc(t), "```go\n")
	program, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("docs/key-format.md has no checker")
	}
	file := filepath.Join(t.TempDir(), "checker.go")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	good, bad := vectors(t)
	var input, want strings.Builder
	for _, row := range good {
		input.WriteString(row[0] + "\n")
		want.WriteString("true\n")
	}
	for _, row := range bad {
		input.WriteString(row[0] + "\n")
		want.WriteString("false\n")
	}
	for range 100 {
		input.WriteString(apikey.NewSecret("acme_live", apikey.NewID()).Reveal() + "\n")
		want.WriteString("true\n")
	}
	checker := exec.CommandContext(t.Context(), "go", "run", file)
	checker.Stdin = strings.NewReader(input.String())
	checker.Stderr = os.Stderr
	got, err := checker.Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want.String() {
		t.Errorf("the checker says\n%swant\n%s", got, want.String())
	}
}

// TestScannerPattern checks the pattern for secret scanners with real secrets.
func TestScannerPattern(t *testing.T) {
	line := regexp.MustCompile(`(?m)^\\b\[a-z\].*$`).FindString(formatDoc(t))
	pattern, err := regexp.Compile(line)
	if err != nil || line == "" {
		t.Fatalf("no pattern in docs/key-format.md: %v", err)
	}
	for range 1000 {
		secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
		if got := pattern.FindString("key=" + secret + "; path=/"); got != secret {
			t.Fatalf("the pattern finds %q in a text that holds %q", got, secret)
		}
	}
}
