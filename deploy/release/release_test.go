package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	at      = time.Date(2026, 11, 25, 20, 0, 0, 0, time.FixedZone("", 3600))
	entries = []entry{{name: "apikeyd", text: []byte("\x7fELF"), executable: true}, {name: "docs/a.md", text: []byte("a\n")}}
	want    = []string{
		"-rwxr-xr-x 2026-11-25T19:00:00Z apikeyd_v1/apikeyd \"\\x7fELF\"",
		"-rw-r--r-- 2026-11-25T19:00:00Z apikeyd_v1/docs/a.md \"a\\n\"",
	}
)

func TestArchives(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name string
		pack func(io.Writer, string, time.Time, []entry) error
		list func(*testing.T, []byte) []string
	}{{"tar", writeTar, listTar}, {"zip", writeZip, listZip}} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			var first, second bytes.Buffer
			if err := errors.Join(kind.pack(&first, "apikeyd_v1", at, entries),
				kind.pack(&second, "apikeyd_v1", at.In(time.UTC), entries)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Error("the same files give other bytes")
			}
			if diff := cmp.Diff(want, kind.list(t, first.Bytes())); diff != "" {
				t.Errorf("the archive differs (-want +got):\n%s", diff)
			}
		})
	}
}

// Each archive has the documents, and the files of gateways where docs/gateways.md links to them.
func TestArchiveHasGateways(t *testing.T) {
	t.Chdir("../..")
	output, tree := t.TempDir(), t.TempDir()
	for _, file := range []string{"man/man1/apikeyd.1", "bash-completion/completions/apikeyd", "zsh/vendor-completions/_apikeyd", "fish/vendor_completions.d/apikeyd.fish"} {
		path := filepath.Join(tree, "usr", "share", filepath.FromSlash(file))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile("docs/gateways.md")
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\]\(\.\./(deploy/gateways/[^)]+)\)`).FindAllStringSubmatch(string(page), -1)
	if len(links) < 9 {
		t.Errorf("the page links only to %q", links)
	}
	for platform, list := range map[string]func(*testing.T, []byte) []string{"linux_amd64": listTar, "windows_amd64": listZip} {
		p := program{path: "LICENSE", info: &buildinfo.BuildInfo{}, platform: platform, time: at}
		name, err := p.writeArchive([]byte("licences"), tree, output)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(output, name))
		if err != nil {
			t.Fatal(err)
		}
		packed := strings.Join(list(t, text), "\n")
		for _, link := range links {
			content, err := os.ReadFile(link[1])
			if err != nil || !strings.Contains(packed, fmt.Sprintf(" %s/%s %q", p.name(), link[1], content)) {
				t.Errorf("%s lacks %s: %v", name, link[1], err)
			}
		}
	}
}

func listTar(t *testing.T, text []byte) (list []string) {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 || header.Uname != "" {
			t.Errorf("%s has an owner", header.Name)
		}
		list = append(list, line(header.FileInfo(), header.Name, content))
	}
}

func listZip(t *testing.T, text []byte) (list []string) {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archive.File {
		opened, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(opened)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, line(file.FileInfo(), file.Name, content))
	}
	return list
}

func line(info os.FileInfo, name string, content []byte) string {
	return fmt.Sprintf("%s %s %s %q", info.Mode(), info.ModTime().UTC().Format(time.RFC3339), name, content)
}

// All licences are included, and a module without a licence stops the release.
func TestThirdParties(t *testing.T) {
	t.Parallel()
	info := &buildinfo.BuildInfo{GoVersion: "go1", Deps: []*debug.Module{{Path: "modernc.org/sqlite", Version: "v1"}}}
	text, err := thirdParties(t.Context(), info)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"==== The Go standard library, go1: LICENSE\n", "==== modernc.org/sqlite v1: LICENSE\n",
		"==== Files of the console: LICENSE.htmx\n", "==== Files of the console: LICENSE.pico\n", "2019-2024 Pico"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("there is no %q", part)
		}
	}
	var b bytes.Buffer
	if err := appendLicences(&b, "unlicensed", t.TempDir()); err == nil {
		t.Error("a module without a licence is ignored")
	}
}

// A program that was not built from a commit is refused, such as this test.
func TestUnknownRevisionIsRefused(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readProgram(self); err == nil || !strings.Contains(err.Error(), "does not know its revision") {
		t.Errorf("got %v", err)
	}
}

func TestSums(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600), writeSums(dir, []string{"empty"})); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCollections(t *testing.T) {
	t.Parallel()
	from, output := t.TempDir(), t.TempDir()
	if _, err := copyCollections(from, output); err == nil {
		t.Error("a folder without collections is accepted")
	}
	if err := os.WriteFile(filepath.Join(from, "apikeyd.bruno_collection.json"), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	names, err := copyCollections(from, output)
	if diff := cmp.Diff([]string{"apikeyd.bruno_collection.json"}, names); err != nil || diff != "" {
		t.Fatalf("copied (-want +got):\n%s%v", diff, err)
	}
	if text, err := os.ReadFile(filepath.Join(output, names[0])); err != nil || string(text) != "{}\n" {
		t.Errorf("the copy is %q, %v", text, err)
	}
}
