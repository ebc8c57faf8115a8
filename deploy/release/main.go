// Command release packs built programs for a release: an archive and a bill of materials for each, and
// checksums. It takes version, platform, time and modules from what the Go toolchain recorded in the
// programs, so that nothing can disagree. The same programs give the same bytes.
package main

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	output := flag.String("output", "dist", "the folder to write to")
	sbom := flag.String("sbom", "", "the program cyclonedx-gomod")
	collections := flag.String("collections", "", "the folder of the collections for Postman and Bruno; empty leaves them out")
	flag.Parse()
	if err := release(ctx, *output, *sbom, *collections, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func release(ctx context.Context, output, sbom, collections string, programs []string) error {
	made, err := copyCollections(collections, output)
	if err != nil {
		return err
	}
	for _, path := range programs {
		p, err := readProgram(path)
		if err != nil {
			return err
		}
		bill, err := p.writeSBOM(ctx, sbom, output)
		if err != nil {
			return fmt.Errorf("%s: bill of materials: %w", path, err)
		}
		archive, err := p.writeArchive(ctx, output)
		if err != nil {
			return fmt.Errorf("%s: archive: %w", path, err)
		}
		made = append(made, archive, bill)
	}
	return writeSums(output, made)
}

// copyCollections copies the collections that make release generated.
func copyCollections(from, output string) (names []string, err error) {
	if from == "" {
		return nil, nil
	}
	paths, err := filepath.Glob(filepath.Join(from, "*_collection.json"))
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("%s has no collections", from)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(path)
		err = os.WriteFile(filepath.Join(output, name), text, 0o644) //nolint:gosec // G306, G703: a release is for everybody, and only a base name is appended
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, err
}

// program is one built apikeyd.
type program struct {
	path     string
	info     *buildinfo.BuildInfo
	platform string // linux_amd64
	time     time.Time
}

// readProgram refuses a program that cannot be reproduced from its version.
func readProgram(path string) (program, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return program{}, err
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if settings["vcs.revision"] == "" {
		return program{}, fmt.Errorf("%s does not know its revision: build it in a clone with git (in a git worktree Go records none)", path)
	}
	if settings["vcs.modified"] != "false" {
		return program{}, fmt.Errorf("%s was built with changes that are not committed; git status shows them", path)
	}
	made, err := time.Parse(time.RFC3339, settings["vcs.time"])
	if err != nil {
		return program{}, err
	}
	return program{path: path, info: info, platform: settings["GOOS"] + "_" + settings["GOARCH"], time: made}, nil
}

// name returns the prefix of the names of this program's files.
func (p program) name() string { return "apikeyd_" + p.info.Main.Version + "_" + p.platform }

func (p program) writeSBOM(ctx context.Context, tool, output string) (string, error) {
	name := p.name() + ".cdx.json"
	cmd := exec.CommandContext(ctx, tool, "bin", "-json", "-licenses", "-std", "-noserial", "-notimestamp",
		"-version", p.info.Main.Version, "-output", filepath.Join(output, name), p.path)
	text, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, text)
	}
	return name, err
}

// writeArchive packs the program with its documents and, for Linux, the systemd unit.
func (p program) writeArchive(ctx context.Context, output string) (name string, err error) {
	licences, err := thirdParties(ctx, p.info)
	if err != nil {
		return "", err
	}
	binary := filepath.Base(p.path)
	entries := []entry{{name: "THIRD_PARTY_LICENSES.txt", text: licences}}
	files := map[string]string{binary: p.path}
	for _, path := range []string{"LICENSE", "README.md", "CHANGELOG.md", "openapi.yaml", "schemathesis.toml", "docs/key-life.arazzo.yaml"} {
		files[path] = path
	}
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		return "", err
	}
	for _, path := range documents {
		files[filepath.ToSlash(path)] = path
	}
	if strings.HasPrefix(p.platform, "linux_") {
		files["apikeyd.service"] = "deploy/apikeyd.service"
		files["apikeyd.socket"] = "deploy/apikeyd.socket"
		files["apikeyd.sysusers"] = "deploy/apikeyd.sysusers"
	}
	for name, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		entries = append(entries, entry{name: name, text: text, executable: name == binary})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })

	name, pack := p.name()+".tar.gz", writeTar
	if strings.HasPrefix(p.platform, "windows_") {
		name, pack = p.name()+".zip", writeZip
	}
	file, err := os.Create(filepath.Join(output, name))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return name, pack(file, p.name(), p.time, entries)
}

// writeSums writes checksums for sha256sum --check.
func writeSums(output string, names []string) error {
	var sums strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(output, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(text), name)
	}
	return os.WriteFile(filepath.Join(output, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
