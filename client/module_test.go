//go:build full

package client_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	servertest "apikeyd/internal/testkit/server"
)

// A program in another module.
const otherGoMod = `module example.com/other

go 1.26.0

require apikeyd v0.0.0

replace apikeyd => ROOT
`

const otherProgram = `package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"apikeyd/client"
)

func main() {
	c, err := client.New(os.Args[1], os.Getenv("KEY"), client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for key, err := range c.List(context.Background(), client.ListOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(key.Name)
	}
}
`

// The client works from another module and does not depend on the service's packages.
func TestFromAnotherModule(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	root, err := filepath.Abs("..")
	must(t, err)
	sums, err := os.ReadFile("../go.sum")
	must(t, err)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": strings.ReplaceAll(otherGoMod, "ROOT", root), "go.sum": string(sums), "main.go": otherProgram,
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	goTool := func(args ...string) string {
		t.Helper()
		return output(t, dir, exec.CommandContext(t.Context(), "go", args...),
			"GOFLAGS=-mod=mod", "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0")
	}

	program := filepath.Join(dir, "program.exe") // runs on Windows too
	goTool("build", "-o", program, ".")
	names := output(t, dir, exec.CommandContext(t.Context(), program, k.URL), "KEY="+k.secret)
	if names != "admin\n" {
		t.Errorf("it printed %q", names)
	}

	allowed := map[string]bool{
		"apikeyd/client": true, "apikeyd/client/internal/api": true, "example.com/other": true,
		// The generated requests need these.
		"github.com/oapi-codegen/runtime": true, "github.com/oapi-codegen/runtime/types": true,
		"github.com/google/uuid": true, "github.com/apapsch/go-jsonmerge/v2": true,
		"golang.org/x/sync/singleflight": true, // one file, for the Guard's cache
	}
	packages := strings.Fields(goTool("list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "."))
	for _, name := range packages {
		if !allowed[name] {
			t.Errorf("the client depends on %s", name)
		}
	}
	if len(packages) != len(allowed) {
		t.Errorf("packages %q", packages)
	}
}

// output runs a command in a folder and returns its output.
func output(t *testing.T, dir string, cmd *exec.Cmd, env ...string) string {
	t.Helper()
	var trouble strings.Builder
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), env...), &trouble
	printed, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, trouble.String())
	}
	return string(printed)
}
