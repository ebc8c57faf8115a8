package cli

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var imports = flag.Int("imports", 1000, "how many keys the test of imports imports")

// importFile writes a file of n keys by their hashes, of which row number wrong does not match the contract.
func importFile(t *testing.T, path string, n, wrong int) {
	t.Helper()
	file, err := os.Create(path)
	must(t, err)
	w := bufio.NewWriter(file)
	for i := range n {
		name := fmt.Sprintf("key %d", i)
		if i == wrong {
			name += strings.Repeat("x", 255)
		}
		fmt.Fprintf(w, `{"name":%q,"owner":"customer-%d","expires_at":"2040-01-31T12:00:00Z","scheme":"sha256","hash":"%x"}`+"\n",
			name, i%1000, sha256.Sum256([]byte(bulkSecret(i))))
	}
	must(t, w.Flush())
	must(t, file.Close())
}

func bulkSecret(i int) string { return fmt.Sprintf("bulk_live_%012d", i) }

// Many keys are imported on a server, beside which they verify at once. An import that was killed is continued.
func TestImportOnServer(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	n := *imports
	importFile(t, filepath.Join(dir, "keys.jsonl"), n, n/2)
	admin := s.adminKey()
	verify := func(i int) string {
		return s.want(200, "POST", "/v1/verify", admin, fmt.Sprintf(`{"key":%q}`, bulkSecret(i))).Code
	}
	if code := verify(0); code != "NOT_FOUND" {
		t.Fatalf("before the import a secret is %s", code)
	}

	args := []string{"import", "keys.jsonl", "--url", s.url, "--key-file", "admin.key"}
	first, err := apikeyd(dir, nil, args...)
	must(t, err)
	must(t, first.Start())
	for deadline := time.Now().Add(patience); verify(0) != "VALID"; { // some were imported
		if time.Now().After(deadline) {
			t.Fatal("nothing is imported")
		}
	}
	_ = first.Process.Kill()
	_ = first.Wait()

	// A row failed, so they exit with 1.
	run := func(args ...string) string {
		cmd, err := apikeyd(dir, nil, args...)
		must(t, err)
		output, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != exitFailure {
			t.Errorf("apikeyd %q: %v", args, err)
		}
		return string(output)
	}
	began := time.Now()
	output := run(args...)
	took := time.Since(began)
	var created, before int
	for line := range strings.Lines(output) {
		_, _ = fmt.Sscanf(line, "%d created, %d imported before, 0 in conflict, 1 invalid", &created, &before)
	}
	if created+before != n-1 || before == 0 || !strings.Contains(output, fmt.Sprintf("row %d: invalid: name ", n/2+1)) {
		t.Errorf("%d were created and %d existed, of %d:\n%s", created, before, n, output)
	}
	t.Logf("%d keys were imported in %s, %.0f a second; %d had been before", created, took.Round(time.Millisecond),
		float64(created)/took.Seconds(), before)
	for range 20 {
		if i := rand.IntN(n); i != n/2 {
			if code := verify(i); code != "VALID" {
				t.Errorf("secret %d is %s", i, code)
			}
		}
	}
	again := run("import", "keys.jsonl", "--dry-run") // on the database, beside the server
	if !strings.Contains(again, fmt.Sprintf("0 would be created, %d imported before", n-1)) {
		t.Errorf("another import says %s", again)
	}
}

// HMACs need their pepper, and the server says so if it has none.
func TestImportPepper(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "pepper"), []byte("a pepper\n"), 0o600))
	mac := hmac.New(sha256.New, []byte("a pepper"))
	_, _ = mac.Write([]byte(bulkSecret(1)))
	row := fmt.Sprintf(`{"keys":[{"name":"ci","expires_at":"2040-01-31T12:00:00Z","scheme":"hmac-sha256","hash":"%x"}]}`, mac.Sum(nil))
	const warning = "cannot be verified: name the file with their pepper by --import-pepper-file"
	for _, step := range []struct {
		args  []string
		code  string
		warns bool
	}{
		{[]string{"--import-pepper-file", "pepper"}, "VALID", false},
		{nil, "NOT_FOUND", true},
	} {
		s := serve(t, dir, step.args...)
		admin := s.adminKey()
		s.want(200, "POST", "/v1/imports", admin, row)
		if code := s.want(200, "POST", "/v1/verify", admin, fmt.Sprintf(`{"key":%q}`, bulkSecret(1))).Code; code != step.code {
			t.Errorf("with %v the secret is %s, want %s", step.args, code, step.code)
		}
		must(t, s.terminate())
		if warns := strings.Contains(s.output.String(), warning); warns != step.warns {
			t.Errorf("with %v the server warns: %t", step.args, warns)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "empty"), []byte("\n"), 0o600))
	p, err := launch(dir, nil, "serve", "--listen", "127.0.0.1:0", "--import-pepper-file", "empty")
	must(t, err)
	must(t, p.waitExit(exitFailure))
	if !strings.Contains(p.output.String(), "--import-pepper-file: empty must hold 1 to 4096 bytes") {
		t.Errorf("an empty pepper: %s", p.output.String())
	}
}
