//go:build full

package main

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	testprogram "apikeyd/internal/testkit/program"
)

// The Debian package is the same each time, can be installed, and neither a removal nor a purge takes the keys.
func TestPackage(t *testing.T) {
	for _, tool := range []string{"make", "dpkg", "systemd-sysusers", "man"} {
		testprogram.Path(t, tool)
	}
	t.Chdir("../..")
	makefile, err := os.ReadFile("Makefile")
	must(t, err)
	nfpm := "bin/nfpm-" + string(regexp.MustCompile(`(?m)^NFPM_VERSION +:= (\S+)$`).FindSubmatch(makefile)[1])
	run(t, "make", nfpm)

	output, tree := t.TempDir(), filepath.Join(t.TempDir(), "tree")
	p := program{
		info: &buildinfo.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, platform: "linux_" + runtime.GOARCH, time: at,
	}
	pack := func() string {
		run(t, "make", "install", "DESTDIR="+tree, "PREFIX=/usr", "ZSH_COMPLETIONS=/usr/share/zsh/vendor-completions")
		name, err := p.writePackage(t.Context(), nfpm, []byte("licences"), tree, output)
		must(t, err)
		return filepath.Join(output, name)
	}
	first, err := os.ReadFile(pack())
	must(t, err)
	second, err := os.ReadFile(pack())
	must(t, err)
	if !bytes.Equal(first, second) {
		t.Error("the same files give another package")
	}

	root := newRoot(t)
	dpkg := func(args ...string) {
		run(t, "dpkg", append([]string{"--root=" + root, "--force-script-chrootless", "--force-not-root"}, args...)...)
	}
	dpkg("--install", pack())
	if got := run(t, filepath.Join(root, "usr/bin/apikeyd"), "version"); !strings.HasPrefix(got, "apikeyd ") {
		t.Errorf("the installed program says %q", got)
	}
	if page := run(t, "man", filepath.Join(root, "usr/share/man/man1/apikeyd.1")); !strings.Contains(page, "API key service") {
		t.Errorf("the manual page shows %.200q", page)
	}
	run(t, "diff", "--recursive", "deploy/gateways", filepath.Join(root, "usr/share/doc/apikeyd/deploy/gateways"))
	users, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if must(t, err); !strings.Contains(string(users), "\napikeyd:") {
		t.Errorf("there is no user apikeyd in %q", users)
	}
	settings, data := filepath.Join(root, "etc/apikeyd/apikeyd.env"), filepath.Join(root, "var/lib/apikeyd/apikeyd.db")
	if info, err := os.Stat(settings); err != nil || info.Mode() != 0o640 {
		t.Errorf("the settings have %v, %v", info, err)
	}
	must(t, os.MkdirAll(filepath.Dir(data), 0o700))
	must(t, os.WriteFile(data, []byte("keys"), 0o600))
	must(t, os.WriteFile(settings, []byte("APIKEYD_LISTEN=127.0.0.1:1\n"), 0o600))
	dpkg("--install", pack()) // again, as an upgrade
	dpkg("--remove", "apikeyd")
	if text, err := os.ReadFile(settings); err != nil || !strings.Contains(string(text), "127.0.0.1:1") {
		t.Errorf("an upgrade and a removal leave the settings %q, %v", text, err)
	}
	dpkg("--purge", "apikeyd")
	if _, err := os.Stat(settings); !os.IsNotExist(err) {
		t.Errorf("after a purge: %v", err)
	}
	if text, err := os.ReadFile(data); err != nil || string(text) != "keys" {
		t.Errorf("a purge leaves the data %q, %v", text, err)
	}
}

// newRoot returns a folder that dpkg takes for an empty system.
func newRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, folder := range []string{"etc", "var/lib/dpkg/updates", "var/lib/dpkg/info"} {
		must(t, os.MkdirAll(filepath.Join(root, folder), 0o755))
	}
	for _, file := range []string{"etc/group", "var/lib/dpkg/status"} {
		must(t, os.WriteFile(filepath.Join(root, file), nil, 0o644))
	}
	must(t, os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\n"), 0o644))
	return root
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
