//go:build full

package cli

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"apikeyd/internal/testkit/program"
)

// named returns a path of the program that ends with its name, for a shell; see TestMain.
func named(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	path := filepath.Join(t.TempDir(), "apikeyd")
	must(t, os.Symlink(self, path))
	return path
}

// mounted runs a command in a folder with a mount, as containers do: a file on a file, or a folder on
// a folder.
func mounted(t *testing.T, from, to, dir string, args ...string) (string, error) {
	t.Helper()
	script := `mount --bind "$1" "$2" && shift 2 && exec "$0" "$@"`
	cmd := bare(dir, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, program.Path(t, "unshare"),
		append([]string{"-m", "sh", "-c", script, named(t), from, to}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A file mounted on its own has its log in another folder; a mounted folder is the same folder.
func TestMountedFile(t *testing.T) {
	t.Parallel()
	if err := exec.Command(program.Path(t, "unshare"), "-m", "true").Run(); err != nil {
		program.Missing(t, "the right to mount")
	}
	dir, container := t.TempDir(), t.TempDir()
	s := serve(t, dir)
	admin := s.adminKey()
	s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("ci"))
	path, inside := filepath.Join(dir, "apikeyd.db"), filepath.Join(container, "apikeyd.db")
	must(t, os.WriteFile(inside, nil, 0o600))
	commands := [][]string{
		{"serve", "--listen", "127.0.0.1:0"}, {"keys", "create", "--name", "ghost", "--expires-in", "1h"}, {"backup", "keys.bak"},
	}
	wantRefused := func(why string) {
		t.Helper()
		for _, args := range commands {
			said, err := mounted(t, path, inside, container, args...)
			if err == nil || !strings.Contains(said, why) {
				t.Errorf("apikeyd %q on the mounted file: %v\n%s", args, err, said)
			}
		}
	}
	wantRefused("the file is open under another name")
	if said, err := mounted(t, dir, container, container, "keys", "list"); err != nil || !strings.Contains(said, "ci") {
		t.Errorf("in the mounted folder: %v\n%s", err, said)
	}
	must(t, s.terminate())
	wantRefused("the file is mounted alone, without its folder")
	if content, err := os.ReadFile(inside); err != nil || !bytes.Equal(content, nil) {
		t.Errorf("the file below the mount was changed: %v", err)
	}
	wantOnlyFiles(t, container, "apikeyd.db")
}
