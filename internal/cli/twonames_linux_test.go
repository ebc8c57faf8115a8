package cli

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// refused runs a command that must fail, and returns its message.
func refused(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd, err := apikeyd(dir, nil, args...)
	must(t, err)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err == nil {
		t.Errorf("apikeyd %q succeeded", args)
	}
	if args[0] != "doctor" && stdout.Len() > 0 {
		t.Errorf("apikeyd %q prints %q", args, stdout.String())
	}
	return stdout.String() + stderr.String()
}

// No process opens a served file under another name, so no acknowledged change is lost.
func TestTwoNamesOfOneFile(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	s := serve(t, first)
	admin := s.adminKey()
	path, link := filepath.Join(first, "apikeyd.db"), filepath.Join(second, "apikeyd.db")
	must(t, os.Link(path, link))
	s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("before"))
	for _, args := range [][]string{
		{"serve", "--listen", "127.0.0.1:0"},
		{"keys", "create", "--name", "ghost", "--expires-in", "1h"},
		{"keys", "list"},
		{"backup", "keys.bak"},
		{"doctor"},
		{"audit", "verify"},
		{"migrate-store", "--from", "apikeyd.db", "--to", "other.db"},
		{"restore", "apikeyd.db", "--database", "other.db"},
	} {
		said := refused(t, second, args...)
		if !strings.Contains(said, "the file is open under another name, "+path+" (process ") {
			t.Errorf("apikeyd %q says %s", args, said)
		}
	}
	wantOnlyFiles(t, second, "apikeyd.db")
	s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("after"))

	// A symbolic link does not count as another name.
	third := t.TempDir()
	must(t, os.Symlink(path, filepath.Join(third, "apikeyd.db")))
	beside := &server{t: t, dir: third}
	beside.command("keys", "create", "--name", "beside", "--expires-in", "1h")

	// The killed server's acknowledged changes are in its log, next to its own name. Its locks are
	// gone.
	s.kill()
	if said := refused(t, second, "serve", "--listen", "127.0.0.1:0"); !strings.Contains(said,
		"a write-ahead log with changes stands beside another name of the file, "+path) {
		t.Errorf("after the kill the second name says %s", said)
	}
	again := serve(t, first)
	if !strings.Contains(again.output.String(), "the database file has other names (hard links)") {
		t.Errorf("no warning of the link in\n%s", again.output.String())
	}
	for _, name := range []string{"before", "after", "beside"} {
		again.want(http.StatusOK, "GET", "/v1/api-keys/"+name, admin, "")
	}
	must(t, again.terminate())

	// Once the file is closed, any name will do.
	other := serve(t, second)
	other.want(http.StatusOK, "GET", "/v1/api-keys/after", admin, "")
	refused(t, first, "keys", "list")
}

func wantOnlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, entry := range entries {
		if len(want) == 0 || entry.Name() != want[0] {
			t.Errorf("%s is in the folder", entry.Name())
			continue
		}
		want = want[1:]
	}
}
