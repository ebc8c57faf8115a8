// Command release packs built programs for a release: an archive and a bill of materials for each, Debian packages, and
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
	"io/fs"
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
	nfpm := flag.String("nfpm", "", "the program nfpm")
	trees := flag.String("trees", "", "the folder with what make install installs for each Linux, such as linux_amd64")
	collections := flag.String("collections", "", "the folder of the collections for Postman and Bruno; empty leaves them out")
	flag.Parse()
	tools := tools{sbom: *sbom, nfpm: *nfpm, trees: *trees}
	if err := release(ctx, tools, *output, *collections, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// tools are programs of others, and what they read.
type tools struct{ sbom, nfpm, trees string }

func release(ctx context.Context, with tools, output, collections string, programs []string) error {
	made, err := copyCollections(collections, output)
	if err != nil {
		return err
	}
	for _, path := range programs {
		p, err := readProgram(path)
		if err != nil {
			return err
		}
		bill, err := p.writeSBOM(ctx, with.sbom, output)
		if err != nil {
			return fmt.Errorf("%s: bill of materials: %w", path, err)
		}
		licences, err := thirdParties(ctx, p.info)
		if err != nil {
			return fmt.Errorf("%s: licences: %w", path, err)
		}
		tree := filepath.Join(with.trees, p.platform)
		archive, err := p.writeArchive(licences, tree, output)
		if err != nil {
			return fmt.Errorf("%s: archive: %w", path, err)
		}
		made = append(made, archive, bill)
		if p.isLinux() {
			deb, err := p.writePackage(ctx, with.nfpm, licences, tree, output)
			if err != nil {
				return fmt.Errorf("%s: package: %w", path, err)
			}
			made = append(made, deb)
		}
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

func (p program) isLinux() bool { return strings.HasPrefix(p.platform, "linux_") }

// writeArchive packs the program with its documents and configurations of gateways and, for Linux, the systemd unit,
// completions and manual page.
func (p program) writeArchive(licences []byte, tree, output string) (name string, err error) {
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
	err = fs.WalkDir(os.DirFS("."), "deploy/gateways", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files[path] = path
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if p.isLinux() {
		files["apikeyd.service"] = "deploy/apikeyd.service"
		files["apikeyd.socket"] = "deploy/apikeyd.socket"
		files["apikeyd.sysusers"] = "deploy/apikeyd.sysusers"
		share := filepath.Join(tree, "usr", "share")
		files["apikeyd.1"] = filepath.Join(share, "man", "man1", "apikeyd.1")
		files["completion/apikeyd.bash"] = filepath.Join(share, "bash-completion", "completions", "apikeyd")
		files["completion/_apikeyd"] = filepath.Join(share, "zsh", "vendor-completions", "_apikeyd")
		files["completion/apikeyd.fish"] = filepath.Join(share, "fish", "vendor_completions.d", "apikeyd.fish")
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

// writePackage makes the Debian package of a tree that make install made. deploy/nfpm.yaml says what is in it.
func (p program) writePackage(ctx context.Context, tool string, licences []byte, tree, output string) (string, error) {
	text := tree + ".licences"
	if err := os.WriteFile(text, licences, 0o644); err != nil { //nolint:gosec // G306: a release is for everybody
		return "", err
	}
	// nfpm keeps the time of each file of a tree, and one version must always give the same package.
	root, err := os.OpenRoot(tree)
	if err != nil {
		return "", err
	}
	err = fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, root.Chtimes(path, p.time, p.time))
	})
	if err := errors.Join(err, root.Close()); err != nil {
		return "", err
	}
	name := p.name() + ".deb"
	cmd := exec.CommandContext(ctx, tool, "package", "--config", "deploy/nfpm.yaml", "--packager", "deb",
		"--target", filepath.Join(output, name))
	cmd.Env = append(os.Environ(), "VERSION="+p.info.Main.Version, "ARCH="+strings.TrimPrefix(p.platform, "linux_"),
		"TREE="+tree, "LICENCES="+text, fmt.Sprint("SOURCE_DATE_EPOCH=", p.time.Unix()))
	said, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, said)
	}
	return name, err
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
