//go:build full

// Package clientts_test runs the TypeScript client's own tests against a real server.
package clientts_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"apikeyd/apikey"
	"apikeyd/internal/testkit/program"
	servertest "apikeyd/internal/testkit/server"
)

func TestTypeScriptClient(t *testing.T) {
	t.Parallel()
	npm := program.Path(t, "npm")
	if _, err := os.Stat("node_modules"); err != nil {
		program.Missing(t, "client/typescript/node_modules (make node-modules)")
	}
	noteFiles(t)
	building.Lock()
	defer building.Unlock()
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

// building is locked while a test writes to dist.
var building sync.Mutex

// The package that npm pack makes can be imported and type-checked by another project.
func TestPackedClient(t *testing.T) {
	t.Parallel()
	npm, node := program.Path(t, "npm"), program.Path(t, "node")
	modules, err := filepath.Abs("node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(modules); err != nil {
		program.Missing(t, "client/typescript/node_modules (make node-modules)")
	}
	noteFiles(t)
	building.Lock()
	defer building.Unlock()
	project := t.TempDir()
	installed := filepath.Join(project, "node_modules", "apikeyd-client")
	run := func(dir, name string, args ...string) {
		t.Helper()
		command := exec.CommandContext(t.Context(), name, args...)
		command.Dir = dir
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
	}
	if err := os.RemoveAll("dist"); err != nil { // an old build must not be packed
		t.Fatal(err)
	}
	run(".", npm, "pack", "--pack-destination", project)
	if err := os.MkdirAll(installed, 0o700); err != nil {
		t.Fatal(err)
	}
	run(project, "tar", "-xzf", "apikeyd-client-1.2.0.tgz", "--strip-components", "1", "-C", installed)
	for _, dependency := range []string{"openapi-fetch", "openapi-typescript-helpers", "typescript"} {
		if err := os.Symlink(filepath.Join(modules, dependency), filepath.Join(project, "node_modules", dependency)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"package.json": `{"type": "module"}`,
		"use.js": `import { createApiKeysClient, listAll } from "apikeyd-client";
			if (typeof createApiKeysClient({ baseUrl: "http://127.0.0.1:1", key: "ak_x" }).GET !== "function" ||
				typeof listAll !== "function") process.exit(1);`,
		"use.ts": `import { createApiKeysClient, type ApiKey } from "apikeyd-client";
			export const name = (key: ApiKey): string => key.name;
			export const client = createApiKeysClient({ baseUrl: "http://127.0.0.1:1", key: "ak_x" });`,
	} {
		if err := os.WriteFile(filepath.Join(project, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(project, node, "use.js")
	run(project, node, filepath.Join(modules, "typescript", "bin", "tsc"), "--noEmit", "--strict", "--module", "nodenext", "use.ts")
}

// noteFiles stats each file that npm test reads, so that go test reruns it if one changes instead
// of using a cached result.
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
