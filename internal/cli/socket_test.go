//go:build unix

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"apikeyd/internal/testkit/program"
)

// shortFolder returns a new folder, in which a socket's path is short enough.
func shortFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sock") //nolint:usetesting // t.TempDir has the test's name in it
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

// serveSocket serves at a socket in a new folder.
func serveSocket(t *testing.T, env []string, args ...string) (p *process, dir, path string) {
	t.Helper()
	dir = shortFolder(t)
	p = serveAtSocket(t, dir, env, args...)
	return p, dir, filepath.Join(dir, "api.sock")
}

func serveAtSocket(t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	path := filepath.Join(dir, "api.sock")
	p, err := launch(dir, env, append([]string{"serve", "--listen", "unix:" + path}, args...)...)
	must(t, err)
	t.Cleanup(p.kill)
	must(t, p.wait(func() bool {
		return strings.Contains(p.output.String(), "msg=serving url=unix:"+path+" docs=unix:"+path+":/docs")
	}))
	return p
}

// socketClient calls a server at a socket, from a file of its own if one is named.
func socketClient(t *testing.T, path, from string) *http.Client {
	t.Helper()
	dialer := &net.Dialer{}
	if from != "" {
		dialer.LocalAddr = &net.UnixAddr{Name: from, Net: "unix"}
	}
	return &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", path)
	}}}
}

func TestSocket(t *testing.T) {
	t.Parallel()
	p, dir, path := serveSocket(t, []string{"APIKEYD_SOCKET_MODE=0620"}, "--socket-owner", fmt.Sprintf(":%d", os.Getegid()))
	info, err := os.Lstat(path)
	must(t, err)
	if info.Mode() != fs.ModeSocket|0o620 {
		t.Errorf("the socket is %s", info.Mode())
	}
	s := &server{process: p, t: t, dir: dir}
	if out := s.command("healthcheck", "--listen", "unix:"+path); out != "ready\n" {
		t.Errorf("healthcheck says %q", out)
	}
	if out := s.command("keys", "list", "--url", "unix:"+path, "--key-file", "admin.key"); !strings.Contains(out, "admin") {
		t.Errorf("the list is\n%s", out)
	}
	// A live server keeps its socket.
	second, err := launch(t.TempDir(), nil, "serve", "--listen", "unix:"+path)
	must(t, err)
	must(t, second.waitExit(exitFailure))
	if out := second.output.String(); !strings.Contains(out, "--listen unix:"+path+" is in use by another program") {
		t.Errorf("a second server says %s", out)
	}
	if out := s.command("healthcheck", "--listen", "unix:"+path); out != "ready\n" {
		t.Errorf("then healthcheck says %q", out)
	}
	// A dead one's socket is replaced, and removed at the end.
	p.kill()
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("kill -9 left no socket: %v", err)
	}
	p = serveAtSocket(t, dir, nil)
	if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("by default the socket is %s, %v", info.Mode(), err)
	}
	must(t, p.terminate())
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// The suite runs at a Unix socket as at any URL, and reports that URL.
func TestConformanceAtSocket(t *testing.T) {
	t.Parallel()
	_, dir, path := serveSocket(t, nil, "--auth-failures-per-minute", "0")
	url := "unix:" + path
	out, stderr, status := conform(t, dir, nil, "--url", url, "--key-file", "admin.key", "--format", "json")
	if status != exitOK || !strings.Contains(out, fmt.Sprintf("%q: %q", "url", url)) {
		t.Errorf("status %d\n%s%s", status, out, stderr)
	}
	out, stderr, status = conform(t, dir, nil, "--url", "unix:none.sock", "--key-file", "admin.key")
	if status != exitFailure || !strings.Contains(stderr, "dial unix none.sock: ") {
		t.Errorf("without a socket: status %d\n%s%s", status, out, stderr)
	}
}

// Files that are no sockets are never removed, and settings that cannot work are refused.
func TestBadSockets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("precious"), 0o600))
	must(t, os.Symlink(filepath.Join(dir, "file"), filepath.Join(dir, "link")))
	for _, tt := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--listen", "unix:file"}, exitFailure, "is not a socket, and stays as it is"},
		{[]string{"--listen", "unix:link"}, exitFailure, "is not a socket, and stays as it is"},
		{[]string{"--listen", "unix:."}, exitFailure, "is not a socket, and stays as it is"},
		{[]string{"--listen", "unix:missing/api.sock"}, exitFailure, "--listen: listen unix missing/api.sock"},
		{[]string{"--listen", "unix:"}, exitUsage, "--listen must name a file after unix:"},
		{[]string{"--listen", "unix:@abstract"}, exitUsage, "--listen must name a file after unix:"},
		{[]string{"--listen", "unix:" + strings.Repeat("a", 104)}, exitUsage, "at most 103 bytes"},
		{[]string{"--listen", "unix:a", "--socket-mode", "rw"}, exitUsage, "--socket-mode must be octal permissions such as 0660"},
		{[]string{"--listen", "unix:a", "--socket-mode", "1777"}, exitUsage, "--socket-mode must be octal permissions such as 0660"},
		{[]string{"--listen", "unix:a", "--socket-owner", ":no-such-group"}, exitFailure, `--socket-owner: there is no group "no-such-group"`},
		{[]string{"--listen", "unix:a", "--socket-owner", "no-such-user"}, exitFailure, `--socket-owner: there is no user "no-such-user"`},
		{[]string{"--metrics", "unix:a"}, exitUsage, "--metrics must be HOST:PORT"},
	} {
		p, err := launch(dir, nil, append([]string{"serve"}, tt.args...)...)
		must(t, err)
		must(t, p.waitExit(tt.status))
		if out := p.output.String(); !strings.Contains(out, tt.says) {
			t.Errorf("%q says %s", tt.args, out)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(text) != "precious" {
		t.Errorf("the file is %q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "apikeyd.db")); err == nil {
		t.Error("a database was created")
	}
}

// The address of a socket's client is what a trusted proxy reports, and nothing that the client chooses: not
// even the name of a file that looks like a trusted address. It changes the folder, so it is not parallel.
func TestAddressAtSocket(t *testing.T) {
	for name, tt := range map[string]struct {
		trusted, from string
		want          string // in the log; empty is unknown
	}{
		"no proxy is trusted": {"", "", ""},
		"an address is trusted, and the client binds a file of that name": {"127.0.0.1", "127.0.0.1:80", ""},
		"the socket's clients are trusted":                                {"unix", "", "address=192.0.2.7 "},
		"and those with a name too":                                       {"10.0.0.0/8,unix", "203.0.113.1:80", "address=192.0.2.7 "},
	} {
		t.Run(name, func(t *testing.T) {
			var args []string
			if tt.trusted != "" {
				args = []string{"--trusted-proxies", tt.trusted}
			}
			p, dir, path := serveSocket(t, nil, args...)
			if tt.from != "" {
				t.Chdir(dir)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/v1/api-keys", nil)
			must(t, err)
			r.Header.Set("X-Forwarded-For", "192.0.2.7")
			r.Header.Set("X-Forwarded-Prefix", "/keys")
			answer, err := socketClient(t, path, tt.from).Do(r)
			must(t, err)
			must(t, answer.Body.Close())
			must(t, p.wait(func() bool { return strings.Contains(p.output.String(), "code=CREDENTIAL_MISSING") }))
			line := p.output.String()
			line = line[strings.LastIndex(line, "msg=request"):]
			if tt.want != "" && !strings.Contains(line, tt.want) || tt.want == "" && strings.Contains(line, "address=") {
				t.Errorf("the log says %s", line)
			}
		})
	}
}

// systemd passes its socket, over TCP or not. It keeps it, so that calls wait while apikeyd restarts.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	activate := program.Path(t, "systemd-socket-activate")
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			dir := shortFolder(t)
			address, client, base := filepath.Join(dir, "api.sock"), socketClient(t, filepath.Join(dir, "api.sock"), ""), "http://localhost"
			if network == "tcp" {
				address = freeAddress(t)
				client, base = httpClient, "http://"+address
			}
			p := activated(t, dir, activate, "--listen="+address)
			must(t, p.wait(func() bool { return strings.Contains(p.output.String(), "Listening on") }))
			answer, err := client.Get(base + "/readyz") // the first connection starts apikeyd
			must(t, err)
			must(t, answer.Body.Close())
			if answer.StatusCode != http.StatusOK {
				t.Errorf("it answers %s", answer.Status)
			}
			url := base
			if network == "unix" {
				url = "unix:" + address
			}
			must(t, p.wait(func() bool { return strings.Contains(p.output.String(), "msg=serving url="+url+" ") }))
			must(t, p.terminate())
			if _, err := os.Lstat(address); network == "unix" && err != nil {
				t.Errorf("apikeyd removed systemd's socket: %v", err)
			}
		})
	}
	t.Run("two sockets", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		first := freeAddress(t)
		p := activated(t, dir, activate, "--listen="+first, "--listen="+freeAddress(t))
		must(t, p.wait(func() bool { return strings.Count(p.output.String(), "Listening on") == 2 }))
		connection, err := net.Dial("tcp", first)
		must(t, err)
		must(t, p.waitExit(exitFailure))
		must(t, connection.Close())
		if !strings.Contains(p.output.String(), "LISTEN_FDS: systemd passes 2 sockets, and apikeyd takes one") {
			t.Errorf("it says %s", p.output.String())
		}
	})
	t.Run("another process's variables", func(t *testing.T) {
		t.Parallel()
		serveWith(t, t.TempDir(), []string{"LISTEN_PID=1", "LISTEN_FDS=1"}, "--listen", "127.0.0.1:0")
	})
}

// activated starts apikeyd by systemd-socket-activate, which becomes apikeyd at the first connection.
func activated(t *testing.T, dir, activate string, listen ...string) *process {
	t.Helper()
	link := filepath.Join(t.TempDir(), "apikeyd") // the tests' program is apikeyd under that name
	self, err := os.Executable()
	must(t, err)
	must(t, os.Symlink(self, link))
	cmd := exec.Command(activate, append(listen, link, "serve", "--listen", "127.0.0.1:1")...)
	cmd.Dir, cmd.Env = dir, []string{"HOME=/nonexistent", "GORACE=" + quickExit}
	p, err := start(cmd)
	must(t, err)
	t.Cleanup(p.kill)
	return p
}

// freeAddress returns an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { must(t, listener.Close()) }()
	return listener.Addr().String()
}
