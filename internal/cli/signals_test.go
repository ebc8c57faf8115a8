package cli

import (
	"bufio"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Signals from a terminal or an operator do not end the service.
func TestHangupDoesNotEnd(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGPIPE} {
		must(t, s.cmd.Process.Signal(signal))
		s.probe(http.StatusOK, "/readyz")
	}
	must(t, s.wait(func() bool { return strings.Contains(s.output.String(), "SIGHUP") }))
	s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("after"))
	must(t, s.terminate())
}

// The log's reader may exit at any time. A change is logged after it is made: it must still be
// answered, and so must later ones.
func TestBrokenLogPipeDoesNotEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	read, write, err := os.Pipe()
	must(t, err)
	cmd, err := apikeyd(dir, nil, "serve", "--listen", "127.0.0.1:0")
	must(t, err)
	cmd.Stdout, cmd.Stderr = write, write
	must(t, cmd.Start())
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // its status is in cmd.ProcessState
		close(p.exited)
	}()
	t.Cleanup(p.kill)
	must(t, write.Close())
	for lines := bufio.NewScanner(read); lines.Scan(); {
		_, _ = p.output.Write(append(lines.Bytes(), '\n')) // a buffer never fails
		if urlInLog.Match(lines.Bytes()) {
			break
		}
	}
	url, err := p.waitURL()
	must(t, err)
	must(t, read.Close())
	s := &server{process: p, t: t, dir: dir, url: url}
	for _, name := range []string{"one", "two"} {
		s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON(name))
	}
	must(t, s.terminate())
}
