//go:build full

// Package clientts_test runs the TypeScript client's own tests against a real server.
package clientts_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"apikeyd/apikey"
	"apikeyd/internal/testkit/program"
	"apikeyd/servertest"
)

func TestTypeScriptClient(t *testing.T) {
	t.Parallel()
	npm := program.Path(t, "npm")
	if _, err := os.Stat("node_modules"); err != nil {
		program.Missing(t, "client-ts/node_modules (make node-modules)")
	}
	noteFiles(t)
	s := servertest.Start(t, servertest.Options{})
	_, secret := s.Add(t, "admin", "admin", apikey.ScopeAdmin)
	test := exec.CommandContext(t.Context(), npm, "test")
	test.Env = append(os.Environ(), "URL="+s.URL, "KEY="+secret.Reveal())
	out, err := test.CombinedOutput()
	if err != nil {
		t.Fatalf("npm test: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// noteFiles looks at each file that npm test reads, so that go test does not take an
// old result for one of the files as they are now.
func noteFiles(t *testing.T) {
	t.Helper()
	for _, root := range []string{"src", "test", "package.json", "package-lock.json", "tsconfig.json"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
