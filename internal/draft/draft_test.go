package draft

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file that was created meanwhile stays; the draft is removed.
func TestDraftReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.bak")
	d, err := New(path)
	must(t, err)
	must(t, os.WriteFile(path, []byte("precious"), 0o600))
	if err := d.Place(path, false); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("error is %v", err)
	}
	d.Discard()
	entries, err := os.ReadDir(dir)
	must(t, err)
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "precious" || len(entries) != 1 {
		t.Errorf("there are %v, and the file says %q (%v)", entries, text, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
