//go:build full

package cli

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"apikeyd/internal/testkit/program"
)

// The commands of docs/secret-scanning.md: the first block makes the keys that the server then trusts, the
// second one signs with them.
func TestSecretScanningGuide(t *testing.T) {
	t.Parallel()
	tools := filepath.Dir(program.Path(t, "openssl")) + ":" + filepath.Dir(program.Path(t, "curl"))
	text, err := os.ReadFile("../../docs/secret-scanning.md")
	must(t, err)
	blocks := regexp.MustCompile("(?ms)^```bash\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks, want 2", len(blocks))
	}
	dir, bin := t.TempDir(), t.TempDir()
	self, err := os.Executable()
	must(t, err)
	must(t, os.Symlink(self, filepath.Join(bin, "apikeyd"))) // see TestMain
	paste := func(block string) string {
		shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", block)
		shell.Dir = dir
		shell.Env = []string{"PATH=" + bin + ":" + tools + ":/usr/bin:/bin", "HOME=" + t.TempDir(), "GORACE=" + quickExit}
		out, err := shell.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	paste(blocks[0][1])
	s := serve(t, dir, "--key-prefix", "acme_live", "--secret-scanning-keys", "keys.json")
	out := paste(strings.ReplaceAll(blocks[1][1], "http://127.0.0.1:8080", s.url))
	for _, part := range []string{`"label":"true_positive"`, `"token_type":"acme_live_api_key"`, "REVOKED", "key_compromise"} {
		if !strings.Contains(out, part) {
			t.Errorf("no %q in\n%s", part, out)
		}
	}
	secret := regexp.MustCompile(`acme_live_[0-9A-Za-z]{60}`)
	if secret.MatchString(out) {
		t.Error("the output holds the secret")
	}
	s.wantLog("a leaked secret was ended")
	if log := s.output.String(); secret.MatchString(log) {
		t.Error("the log holds the secret")
	}
	s.want(http.StatusUnauthorized, "POST", "/v1/secret-scanning/github", "", `[]`)
}

// Bad keys of secret scanning keep the server from starting, and leave no database behind.
func TestBadScanningKeys(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		want   string
	}{
		"http://example.com/keys": {exitUsage, "--secret-scanning-keys must be a file or an https:// URL"},
		"missing.json":            {exitFailure, "--secret-scanning-keys: open missing.json"},
		"bad.json":                {exitFailure, "--secret-scanning-keys: bad.json: is not JSON such as"},
	} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "bad.json"), []byte("{"), 0o600))
		p, err := launch(dir, nil, "serve", "--listen", "127.0.0.1:0", "--secret-scanning-keys", name)
		must(t, err)
		if err := p.waitExit(tt.status); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(p.output.String(), tt.want) {
			t.Errorf("%s: it says %q, want %q", name, p.output.String(), tt.want)
		}
		if _, err := os.Stat(filepath.Join(dir, "apikeyd.db")); err == nil {
			t.Errorf("%s: there is a database", name)
		}
	}
}
