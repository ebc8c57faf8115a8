//go:build unix

package cli

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestFewOpenFiles gives a server far fewer descriptors than its clients need. It keeps clients
// waiting instead of running out, so the database keeps working and later clients are served.
func TestFewOpenFiles(t *testing.T) {
	t.Parallel()
	s := serveFewFiles(t, "--max-connections", "100000")
	if out := s.output.String(); !strings.Contains(out, `"fewer connections than --max-connections`) ||
		!strings.Contains(out, "connections=80") {
		t.Errorf("room for more than there are descriptors, or no word about it:\n%s", out)
	}
	s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("before"))
	var all []net.Conn
	for range 300 {
		all = append(all, s.dial())
	}
	must(t, s.wait(func() bool { return s.openFiles() >= 80 }))
	for _, connection := range all {
		must(t, connection.Close())
	}
	s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("after"))
	s.wantFiles()
}

// Many connections to the metrics take no descriptor that the service needs.
func TestFewOpenFilesForMetrics(t *testing.T) {
	t.Parallel()
	s := serveFewFiles(t, "--metrics", "127.0.0.1:0")
	at, err := url.Parse(s.metricsURL())
	must(t, err)
	for range 300 {
		connection, err := net.Dial("tcp", at.Host)
		must(t, err)
		t.Cleanup(func() { _ = connection.Close() })
	}
	for i := range 20 {
		s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON(strconv.Itoa(i)))
	}
	s.wantFiles()
}

// serveFewFiles starts a server that may open 160 files.
func serveFewFiles(t *testing.T, args ...string) *server {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	must(t, err)
	must(t, os.Symlink(self, filepath.Join(dir, "apikeyd")))
	p, err := start(bare(dir, nil, "/bin/sh", append([]string{"-c",
		`ulimit -n 160 && exec ./apikeyd serve --listen 127.0.0.1:0 "$@"`, "sh"}, args...)...))
	must(t, err)
	t.Cleanup(p.kill)
	url, err := p.waitURL()
	must(t, err)
	return &server{process: p, t: t, dir: dir, url: url}
}

// wantFiles checks that the server never ran out of descriptors.
func (s *server) wantFiles() {
	s.t.Helper()
	if out := s.output.String(); strings.Contains(out, "too many open files") {
		s.t.Errorf("it ran out of descriptors:\n%s", out)
	}
}

// openFiles is the process's number of open descriptors, or a very large number if unknown.
func (s *server) openFiles() int {
	s.t.Helper()
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "fd"))
	if err != nil {
		return 1 << 30
	}
	return len(entries)
}
