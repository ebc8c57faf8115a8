//go:build full

package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// blockOf returns the block of docs/backup.md that has this mark.
func blockOf(t *testing.T, mark string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/backup.md")
	must(t, err)
	_, block, begins := strings.Cut(string(page), "```sh "+mark+"\n")
	block, _, ends := strings.Cut(block, "```\n")
	if !begins || !ends {
		t.Fatalf("docs/backup.md has no block marked %q", mark)
	}
	return block
}

// shell is a script that finds the program as apikeyd.
func shell(t *testing.T, dir, script string, env ...string) *exec.Cmd {
	t.Helper()
	bin := t.TempDir()
	self, err := os.Executable()
	must(t, err)
	must(t, os.Symlink(self, filepath.Join(bin, "apikeyd")))
	path, _ := os.LookupEnv("PATH")
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", script)
	cmd.Dir = dir
	cmd.Env = append(env, "PATH="+bin+":"+path, "GORACE="+quickExit)
	return cmd
}

// The recipe for cron in docs/backup.md, three times, as it stands there.
func TestCronRecipe(t *testing.T) {
	t.Parallel()
	script := blockOf(t, "recipe")
	s := serve(t, t.TempDir())
	folder, remote := t.TempDir(), t.TempDir()
	killed := filepath.Join(folder, ".keys.db.1.part")
	must(t, os.WriteFile(killed, nil, 0o600))
	must(t, os.Chtimes(killed, time.Now().Add(-2*time.Hour), time.Now().Add(-2*time.Hour)))
	for range 3 {
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // its files are named by the second
		cmd := shell(t, t.TempDir(), script, "TMPDIR="+t.TempDir(), "APIKEYD_DATABASE="+filepath.Join(s.dir, "apikeyd.db"),
			"BACKUPS="+folder, "REMOTE="+remote, "COPY=cp -p", "KEEP=2")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	wantNames(t, folder, 2)
	wantNames(t, remote, 3)
	s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("ci"))
}

func wantNames(t *testing.T, folder string, want int) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	must(t, err)
	if len(entries) != want {
		t.Errorf("%d files are in %s, want %d: %v", len(entries), folder, want, entries)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "keys-") {
			t.Errorf("%s was left", entry.Name())
		}
	}
}

// What docs/backup.md says to do about keys that were revoked after the backup.
func TestRevokeAfterRestore(t *testing.T) {
	t.Parallel()
	script := blockOf(t, "revoke")
	s := serve(t, t.TempDir())
	admin := s.adminKey()
	var ids []string
	for _, name := range []string{"stays", "goes", "gone before"} {
		ids = append(ids, s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON(name)).ID)
	}
	s.want(http.StatusOK, "DELETE", "/v1/api-keys/"+ids[2], admin, "")
	s.command("backup", "keys.bak")
	s.want(http.StatusOK, "DELETE", "/v1/api-keys/"+ids[1], admin, "")
	later := s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("made later"))
	s.want(http.StatusOK, "DELETE", "/v1/api-keys/"+later.ID, admin, "")
	s.command("restore", "keys.bak", "--database", "new.db")

	cmd := shell(t, s.dir, script, "OLD=apikeyd.db", "NEW=new.db")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), later.ID+" is not in the backup") {
		t.Errorf("the script says %s (%v)", out, err)
	}
	list := s.command("keys", "list", "--database", "new.db")
	for i, status := range []string{"ACTIVE", "REVOKED", "REVOKED"} {
		for line := range strings.Lines(list) {
			if strings.HasPrefix(line, ids[i]) && !strings.Contains(line, " "+status+" ") {
				t.Errorf("want %s: %s", status, line)
			}
		}
	}
}
