//go:build full

package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"apikeyd/internal/testkit/program"
)

// The image, built by the Dockerfile's steps without a container engine: the program as make builds
// it, alone in an empty root, with the image's user and environment.
func TestImage(t *testing.T) {
	t.Parallel()
	program.Path(t, "make")
	image := readDockerfile(t)
	if want := "APIKEYD_LISTEN=0.0.0.0:" + image.one("EXPOSE"); !slices.Contains(image["ENV"], want) {
		t.Errorf("the image's environment is %q, want %s in it", image["ENV"], want)
	}
	if out, err := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-C", "../..", "build").CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	root := t.TempDir()
	uid, gid := image.user(t)
	for _, step := range image["COPY"] {
		image.copy(t, root, step, uid, gid)
	}
	// Any free port on this machine only, instead of the image's port on every address.
	environment := func(address string) []string {
		return append(slices.Clone(image["ENV"]), "APIKEYD_LISTEN="+address)
	}
	run := func(address string, command ...string) *process {
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir, cmd.Env, cmd.SysProcAttr = image.one("WORKDIR"), environment(address), inside(root, uid, gid)
		p, err := start(cmd)
		must(t, err)
		t.Cleanup(p.kill)
		return p
	}
	p := run("127.0.0.1:0", append(words(t, image.one("ENTRYPOINT")), words(t, image.one("CMD"))...)...)
	url, err := p.waitURL()
	must(t, err)
	s := &server{process: p, t: t, dir: filepath.Join(root, image.one("VOLUME")), url: url}
	s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("ci"))

	_, check, _ := strings.Cut(image.one("HEALTHCHECK"), "CMD ")
	address := strings.TrimPrefix(url, "http://")
	must(t, run(address, words(t, check)...).waitExit(exitOK))
	must(t, p.terminate())
	must(t, run(address, words(t, check)...).waitExit(exitFailure))

	want := []string{"admin.key", "apikeyd.db", "apikeyd.db.lock"}
	if got := filesIn(t, s.dir); !slices.Equal(got, want) {
		t.Errorf("the volume holds %q, want %q", got, want)
	}
}

// inside runs a program in another root as another user. Without root privileges it needs a user
// namespace.
func inside(root string, uid, gid int) *syscall.SysProcAttr {
	if os.Geteuid() == 0 {
		return &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	return &syscall.SysProcAttr{
		Chroot:      root,
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: os.Getegid(), Size: 1}},
	}
}

// dockerfile holds the arguments of the last stage's instructions.
type dockerfile map[string][]string

func readDockerfile(t *testing.T) dockerfile {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	must(t, err)
	_, last, found := strings.Cut(string(text), "\nFROM scratch\n")
	if !found {
		t.Fatal("the image is not made from scratch")
	}
	d := dockerfile{}
	for line := range strings.Lines(last) {
		if instruction, rest, found := strings.Cut(strings.TrimSpace(line), " "); found && instruction != "#" {
			d[instruction] = append(d[instruction], rest)
		}
	}
	return d
}

func (d dockerfile) one(instruction string) string { return strings.Join(d[instruction], "\n") }

// user returns the user that runs the program: numbers, since the image has no /etc/passwd.
func (d dockerfile) user(t *testing.T) (uid, gid int) {
	t.Helper()
	_, err := fmt.Sscanf(d.one("USER"), "%d:%d", &uid, &gid)
	must(t, err)
	if uid == 0 || gid == 0 {
		t.Error("the image's user is root")
	}
	return uid, gid
}

// copy does what a COPY instruction does, from the build stage's files.
func (d dockerfile) copy(t *testing.T, root, step string, uid, gid int) {
	t.Helper()
	fields := strings.Fields(step)
	from, to := fields[len(fields)-2], filepath.Join(root, fields[len(fields)-1])
	switch {
	case from == "/data":
		if owner := fmt.Sprintf("--chown=%d:%d", uid, gid); !slices.Contains(fields, owner) {
			t.Errorf("COPY %s: the folder of the data must be the user's: %s", step, owner)
		}
		must(t, os.MkdirAll(to, 0o755))
		if os.Geteuid() == 0 {
			must(t, os.Chown(to, uid, gid))
		}
	case strings.HasPrefix(from, "/src/"):
		text, err := os.ReadFile(filepath.Join("../..", strings.TrimPrefix(from, "/src/")))
		must(t, err)
		must(t, os.MkdirAll(filepath.Dir(to), 0o755))
		must(t, os.WriteFile(to, text, 0o755))
	case strings.HasPrefix(from, "/etc/ssl/certs/"): // no TLS connections are made here
	default:
		t.Errorf("COPY %s: this test does not know what that is", step)
	}
}

// words reads the exec form of a command.
func words(t *testing.T, list string) (words []string) {
	t.Helper()
	must(t, json.Unmarshal([]byte(list), &words))
	return words
}

// systemd finds no mistake in the unit, which exposes no more than before.
func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	program.Path(t, "systemd-analyze")
	text, err := os.ReadFile("../../deploy/apikeyd.service")
	must(t, err)
	// systemd checks that the program exists.
	installed := regexp.MustCompile(`(?m)^ExecStart=apikeyd `)
	if !installed.Match(text) {
		t.Fatal("the unit does not start apikeyd")
	}
	unit := filepath.Join(t.TempDir(), "apikeyd.service")
	must(t, os.WriteFile(unit, installed.ReplaceAll(text, []byte("ExecStart=/bin/true ")), 0o600))
	socket, err := os.ReadFile("../../deploy/apikeyd.socket")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(filepath.Dir(unit), "apikeyd.socket"), socket, 0o600))
	const exposure = 1.5
	for _, args := range [][]string{
		{"verify", unit, filepath.Join(filepath.Dir(unit), "apikeyd.socket")},
		{"security", "--offline=true", "--threshold=" + strconv.Itoa(exposure*10), unit},
	} {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}
