//go:build full

package gen_test

import (
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

// TestWalkthrough makes the changes that CONTRIBUTING.md walks through, in a copy of the project, with
// make generate itself. The build and the tests must name what is missing as it says, and the new
// field must work in all places. The compiler's cache does not mind the folder (-trimpath), so it
// compiles only what depends on the edits.
func TestWalkthrough(t *testing.T) {
	p := newProject(t)
	p.copy()
	field, operation := readEdits(t)
	p.apply(field[0], operation[0])
	output, err := p.generate()
	if err == nil || !strings.Contains(output, "Left over: docs/configuration.md") {
		t.Fatalf("nothing is missing after the contract changed: %v\n%s", err, output)
	}
	if diff := cmp.Diff([]string{
		"handlers/operator.go: missing method CountApiKeys", "handlers/server.go: missing method CountApiKeys",
	}, places(output)); diff != "" {
		t.Errorf("the build breaks elsewhere (-want +got):\n%s\n%s", diff, output)
	}
	p.wantGenerated()
	p.apply(operation[1])
	output, err = p.run("test", "-vet=off", "-run", "EveryField|ContractIsUsed", "./handlers")
	for _, missing := range []string{
		"ApiKeyWithSecretResponse: Description", "AuditChanges: Description",
		"createApiKey .description: nothing shows", "updateApiKey .description: nothing shows", "countApiKeys 200 X-Request-Id: no answer",
	} {
		if err == nil || !strings.Contains(output, missing) {
			t.Errorf("the tests do not name %s: %v\n%s", missing, err, output)
		}
	}
	p.apply(operation[2:]...)
	p.apply(field[1:]...)
	p.write("client/description_test.go", p.read("gen/testdata/client_description.go"))
	p.write("console/description_test.go", p.read("gen/testdata/console_description.go"))
	for _, args := range [][]string{
		// The new operation is guarded, and answers hold against the new contract.
		{"test", "-vet=off", "-run", "^(TestEveryOperationIsGuarded|TestLifecycle|TestEncoding|TestContractIsUsed)$|EveryField", "./handlers"},
		{"test", "-vet=off", "-run", "Contract|Examples", "./gen"},
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

// copy copies the project's files, and links what npm installed.
func (p *project) copy() {
	p.Helper()
	must(p.T, filepath.WalkDir(p.root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // another test's, which is over
			return nil
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "dist", "node_modules"}, entry.Name()):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		file, err := filepath.Rel(p.root, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			p.write(file, string(text))
		}
		return err
	}))
	modules := filepath.Join(p.root, nodeModules)
	if _, err := os.Stat(modules); err == nil {
		must(p.T, os.Symlink(modules, filepath.Join(p.folder, nodeModules)))
	}
}

const nodeModules = "client/typescript/node_modules"

// generate runs make generate.
func (p *project) generate() (string, error) {
	made := p.command("make", "generate")
	output, err := made.CombinedOutput()
	return string(output), err
}

// wantGenerated looks for the new field and operation in all that make generate makes of the contract.
func (p *project) wantGenerated() {
	p.Helper()
	files := []string{"gen/api.gen.go", "gen/openapi.yaml", "gen/openapi.json", "client/internal/api/api.gen.go"}
	if _, err := os.Stat(filepath.Join(p.folder, nodeModules)); err == nil {
		files = append(files, "client/typescript/src/contract.ts")
	}
	for _, file := range files {
		text := p.read(file)
		if !strings.Contains(text, "Deploys the shop from CI") && !strings.Contains(text, "What the key is for") ||
			!strings.Contains(strings.ToLower(text), "countapikeys") {
			p.Errorf("%s was not generated", file)
		}
	}
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
		if strings.Contains(line, ".go:") && !strings.HasPrefix(line, "\t") &&
			!strings.Contains(line, "cannot convert") && !strings.Contains(line, "missing method") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// run runs go on the edited project.
func (p *project) run(args ...string) (string, error) {
	p.Helper()
	// Programs without symbols are linked in less time.
	build := []string{args[0], "-buildvcs=false", "-ldflags=-s -w"}
	output, err := p.command("go", append(build, args[1:]...)...).CombinedOutput()
	return string(output), err
}

// command runs in the copy as make test does in the project, so that both compile the same packages
// once.
func (p *project) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(p.Context(), name, args...)
	cmd.Dir = p.folder
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "MAKE") && !strings.HasPrefix(variable, "MFLAGS=") { // of a make that runs this test
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "CGO_ENABLED=0", "GOFLAGS=-trimpath")
	return cmd
}
