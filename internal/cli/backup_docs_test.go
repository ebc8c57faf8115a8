//go:build full

package cli

import (
	"fmt"
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

// shell returns a script that finds the program as apikeyd.
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

// The cron recipe in docs/backup.md works as written, three times in a row.
func TestCronRecipe(t *testing.T) {
	t.Parallel()
	script := blockOf(t, "recipe")
	s := serve(t, t.TempDir())
	folder, remote := t.TempDir(), t.TempDir()
	killed := filepath.Join(folder, ".keys.db.1.part")
	must(t, os.WriteFile(killed, nil, 0o600))
	must(t, os.Chtimes(killed, time.Now().Add(-2*time.Hour), time.Now().Add(-2*time.Hour)))
	for range 3 {
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // its file names have a resolution of one second
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

// After the disaster recovery in docs/backup.md, nothing that ended since the backup works again, and
// everything else still works.
func TestRevokeAfterRestore(t *testing.T) {
	t.Parallel()
	script := blockOf(t, "revoke")
	s := serve(t, t.TempDir())
	admin := s.adminKey()
	keys := make(map[string]answer)
	for _, name := range []string{"stays", "revoked", "rotated", "in grace", "leaked", "leaked in grace", "shortened", "narrowed", "gone before"} {
		keys[name] = s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON(name))
	}
	at := func(name string) string { return "/v1/api-keys/" + keys[name].ID }
	s.want(http.StatusOK, "DELETE", at("gone before"), admin, "")
	grace := `{"grace_seconds":3600}`
	newer := map[string]string{"leaked in grace": s.want(http.StatusOK, "POST", at("leaked in grace")+"/rotate", admin, grace).Secret}
	s.command("backup", "keys.bak")

	s.want(http.StatusOK, "DELETE", at("revoked"), admin, "")
	newer["rotated"] = s.want(http.StatusOK, "POST", at("rotated")+"/rotate", admin, `{"grace_seconds":0}`).Secret
	newer["in grace"] = s.want(http.StatusOK, "POST", at("in grace")+"/rotate", admin, grace).Secret
	for _, name := range []string{"leaked", "leaked in grace"} {
		s.want(http.StatusAccepted, "POST", "/v1/leaked-keys", "", fmt.Sprintf(`{"key":%q}`, keys[name].Secret))
	}
	soon := time.Now().Add(time.Second)
	s.want(http.StatusOK, "PATCH", at("shortened"), admin, fmt.Sprintf(`{"expires_at":%q}`, soon.Format(time.RFC3339Nano)))
	s.want(http.StatusOK, "PATCH", at("narrowed"), admin, `{"scopes":["keys:read"]}`)
	later := s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("made later"))
	s.kill() // the last changes are only in its log
	must(t, os.WriteFile(filepath.Join(s.dir, "audit.jsonl"), []byte(s.command("audit", "export")), 0o600))

	cmd := shell(t, s.dir, script, "BACKUP=keys.bak", "OLD=apikeyd.db", "NEW=new/apikeyd.db")
	must(t, os.Mkdir(filepath.Join(s.dir, "new"), 0o700))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "2 keys revoked, 3 with another secret, 2 that end earlier, lost scopes or networks, or were suspended") {
		t.Errorf("the script says %s (%v)", out, err)
	}
	restored := serve(t, filepath.Join(s.dir, "new"))
	time.Sleep(time.Until(soon))
	verdict := func(secret, want string) {
		t.Helper()
		a := restored.want(http.StatusOK, "POST", "/v1/verify", admin, fmt.Sprintf(`{"key":%q}`, secret))
		if !strings.Contains(a.body, fmt.Sprintf(`"code":%q`, want)) {
			t.Errorf("want %s: %s", want, a.body)
		}
	}
	for name, want := range map[string]string{
		"stays": "VALID", "revoked": "REVOKED", "rotated": "NOT_FOUND", "in grace": "VALID", "leaked": "REVOKED",
		"leaked in grace": "NOT_FOUND", "shortened": "EXPIRED", "narrowed": "VALID", "gone before": "REVOKED",
	} {
		t.Log(name)
		verdict(keys[name].Secret, want)
	}
	for name, secret := range newer {
		t.Log(name, "after its rotation")
		verdict(secret, "VALID")
	}
	verdict(later.Secret, "NOT_FOUND")
	restored.want(http.StatusForbidden, "DELETE", at("stays"), keys["narrowed"].Secret, "")
	restored.command("audit", "verify")
	must(t, restored.terminate())

	// From an audit export: the same, but keys that were rotated are revoked.
	must(t, os.Mkdir(filepath.Join(s.dir, "again"), 0o700))
	told := s.command("restore", "keys.bak", "--database", "again/apikeyd.db", "--revocations-from", "audit.jsonl")
	if !strings.Contains(told, "4 keys revoked, 1 with another secret, 2 that end earlier, lost scopes or networks, or were suspended") ||
		!strings.Contains(told, "2 keys rotated after the backup: revoked") {
		t.Errorf("restore says %s", told)
	}
	restored = serve(t, filepath.Join(s.dir, "again"))
	for name, want := range map[string]string{
		"stays": "VALID", "revoked": "REVOKED", "rotated": "REVOKED", "in grace": "REVOKED", "leaked": "REVOKED",
		"leaked in grace": "NOT_FOUND", "shortened": "EXPIRED", "narrowed": "VALID", "gone before": "REVOKED",
	} {
		t.Log(name, "from an export")
		verdict(keys[name].Secret, want)
	}
	verdict(newer["leaked in grace"], "VALID")
	verdict(newer["rotated"], "NOT_FOUND")
	if a := restored.want(http.StatusOK, "GET", "/readyz", "", ""); !strings.Contains(a.body, notReconciled) {
		t.Errorf("an export need not be complete, and /readyz says %s", a.body)
	}
}
