//go:build full

package gen_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/store/sqlstore"
)

// TestWalkthrough makes the changes that CONTRIBUTING.md walks through. The build and the tests must
// name what is missing as it says, and the new field must work in all places. The compiler gets the edited
// files in place of the project's own (go help build, -overlay), so that it compiles only
// what depends on them.
func TestWalkthrough(t *testing.T) {
	p := newProject(t)
	p.noteFiles()
	field, operation := readEdits(t)
	p.apply(field[0], operation[0])
	p.generate()
	output, err := p.run("build", "./handlers")
	if err == nil {
		t.Fatal("nothing is missing after the contract changed")
	}
	if diff := cmp.Diff([]string{
		"handlers/operator.go: missing method CountApiKeys", "handlers/server.go: missing method CountApiKeys",
	}, places(output)); diff != "" {
		t.Errorf("the build breaks elsewhere (-want +got):\n%s\n%s", diff, output)
	}
	p.apply(operation[1:]...)
	output, err = p.run("test", "-vet=off", "-run", "EveryField", "./handlers")
	for _, missing := range []string{"ApiKeyWithSecretResponse: Description", "AuditChanges: Description"} {
		if err == nil || !strings.Contains(output, missing) {
			t.Errorf("the tests do not name %s: %v\n%s", missing, err, output)
		}
	}
	p.apply(field[1:]...)
	p.write("client/description_test.go", p.read("gen/testdata/client_description.go"))
	p.write("console/description_test.go", p.read("gen/testdata/console_description.go"))
	for _, args := range [][]string{
		// The new operation is guarded, and answers hold against the new contract.
		{"test", "-vet=off", "-run", "^(TestEveryOperationIsGuarded|TestLifecycle|TestEncoding)$|EveryField", "./handlers"},
		{"test", "-vet=off", "-run", "^TestDescription$", "./client", "./console"},
		{"build", "-o", filepath.Join(p.folder, "apikeyd"), "./cmd/apikeyd"},
	} {
		if output, err := p.run(args...); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
	p.tryCommands(filepath.Join(p.folder, "apikeyd"))
}

// tryCommands keeps, shows and changes a description by way of the command line.
func (p *project) tryCommands(program string) {
	p.Helper()
	run := func(args ...string) string {
		p.Helper()
		cmd := exec.CommandContext(p.Context(), program, args...)
		cmd.Dir = p.folder
		output, err := cmd.CombinedOutput()
		if err != nil {
			p.Errorf("apikeyd %s: %v\n%s", strings.Join(args, " "), err, output)
		}
		return string(output)
	}
	path := filepath.Join(p.folder, "apikeyd.db")
	before, err := sqlstore.Open(p.Context(), sqlstore.Options{Path: path, Serve: true})
	must(p.T, err)
	must(p.T, before.Close()) // with the schema of the project as it is
	server := exec.CommandContext(p.Context(), program, "serve", "--listen", "127.0.0.1:0")
	server.Dir = p.folder
	must(p.T, server.Start())
	p.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	for _, err = os.Stat(filepath.Join(p.folder, "admin.key")); err != nil; _, err = os.Stat(filepath.Join(p.folder, "admin.key")) {
		time.Sleep(10 * time.Millisecond)
	}
	run("keys", "create", "--name", "n", "--description", "for tests", "--expires-in", "1h")
	if got := run("keys", "get", "n"); !strings.Contains(got, "for tests") {
		p.Errorf("keys get prints\n%s", got)
	}
	run("keys", "update", "n", "--description", "for more")
	if got := run("keys", "get", "n", "--json"); !strings.Contains(got, `"description":"for more"`) {
		p.Errorf("keys get --json prints\n%s", got)
	}
}

// noteFiles looks at each file that the compiler may read, so that go test does not take an
// old result for one of the files as they are now.
func (p *project) noteFiles() {
	p.Helper()
	must(p.T, filepath.WalkDir(p.root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "node_modules"}, entry.Name()):
			return fs.SkipDir
		}
		if _, err = os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil // another test's, which is over
		}
		return err
	}))
}

// places lists what the compiler says is missing, and in which file.
func places(output string) []string {
	var found []string
	for _, m := range regexp.MustCompile(`(?m)^(\S+?):\d+:\d+: .*?(cannot convert|missing method) (\w+)(?:.* to type (\S+))?`).
		FindAllStringSubmatch(output, -1) {
		place := m[1] + ": " + m[2] + " " + m[3]
		if m[4] != "" {
			place += " to type " + m[4]
		}
		found = append(found, place)
	}
	// Whatever else the compiler says is shown as it is.
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "\t") &&
			!strings.Contains(line, "cannot convert") && !strings.Contains(line, "missing method") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// generate is make generate, as far as Go needs it.
func (p *project) generate() {
	p.Helper()
	made, config := filepath.Join(p.folder, "made.go"), filepath.Join(p.folder, "oapi-codegen.yaml")
	const output = "output: gen/api.gen.go"
	text := p.read("oapi-codegen.yaml")
	if !strings.Contains(text, output) {
		p.Fatalf("oapi-codegen.yaml does not say %q", output)
	}
	text = strings.Replace(text, output, "output: "+made, 1)
	must(p.T, os.WriteFile(config, []byte(text), 0o600))
	tool := p.command("tool", "oapi-codegen", "--config", config, p.edited["openapi.yaml"])
	if output, err := tool.CombinedOutput(); err != nil {
		p.Fatalf("%v\n%s", err, output)
	}
	code, err := os.ReadFile(made)
	must(p.T, err)
	p.write("gen/api.gen.go", string(code))
	p.write("gen/openapi.yaml", p.read("openapi.yaml"))
}

// run runs go on the edited project.
func (p *project) run(args ...string) (string, error) {
	p.Helper()
	replace := map[string]string{}
	for file, where := range p.edited {
		replace[filepath.Join(p.root, file)] = where
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	must(p.T, err)
	overlay := filepath.Join(p.folder, "overlay.json")
	must(p.T, os.WriteFile(overlay, text, 0o600))
	// Programs without symbols are linked in less time.
	build := []string{args[0], "-buildvcs=false", "-ldflags=-s -w", "-overlay", overlay}
	output, err := p.command(append(build, args[1:]...)...).CombinedOutput()
	return string(output), err
}

// command is go, as make test calls it, so that both compile the same packages once.
func (p *project) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(p.Context(), "go", args...)
	cmd.Dir = p.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	return cmd
}
