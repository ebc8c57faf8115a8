package cli

import (
	"bufio"
	"crypto/rand"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"apikeyd/internal/testkit/program"
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
	s, log := serveIntoPipe(t)
	must(t, log.Close())
	for _, name := range []string{"one", "two"} {
		s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON(name))
	}
	must(t, s.terminate())
}

// A reader that does not read delays no answer. When it reads again, it learns how many lines it missed.
func TestUnreadLog(t *testing.T) {
	t.Parallel()
	s, log := serveIntoPipe(t, "--log-refusals", "0", "--metrics", "127.0.0.1:0")
	const dropped = "apikeyd_log_lines_dropped_total "
	none := regexp.MustCompile("(?m)^" + dropped + "0$")
	for scraped := dropped + "0"; none.MatchString(scraped); scraped = s.scrape() {
		for range 100 {
			s.want(http.StatusUnauthorized, "GET", "/v1/api-keys/"+strings.Repeat("long-", 50), "", "")
		}
	}
	s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("unread"))
	var read program.Output
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(&read, log) // it ends with the process
	}()
	// Lines wait until those before them are read. Only then does the line about the end find room.
	must(t, s.wait(func() bool {
		s.want(http.StatusOK, "PATCH", "/v1/api-keys/unread", s.adminKey(), `{"metadata":{"n":"`+rand.Text()+`"}}`)
		return strings.Contains(read.String(), "operation=updateApiKey")
	}))
	must(t, s.terminate())
	<-done
	for _, want := range []string{`level=WARN msg="log lines were dropped: `, "msg=stopped\n"} {
		if text := read.String(); !strings.Contains(text, want) {
			t.Errorf("the log lacks %q; it ends with\n%s", want, text[max(0, len(text)-2000):])
		}
	}
}

// A server that cannot start has logged all that it did until then.
func TestFatalErrorLosesNoLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "apikeyd.db"), []byte("not a database"), 0o600))
	cmd, err := apikeyd(dir, nil, "serve", "--listen", "0.0.0.0:0", "--pprof", "127.0.0.1:0")
	must(t, err)
	out, err := cmd.CombinedOutput()
	line, failure := strings.Index(string(out), "pprof"), strings.Index(string(out), "apikeyd: ")
	if err == nil || line < 0 || failure < line {
		t.Errorf("%v; want a line about the profiles, and then the error:\n%s", err, out)
	}
}

// serveIntoPipe serves with a log that is read until it serves, and returns the rest.
func serveIntoPipe(t *testing.T, args ...string) (_ *server, log *os.File) {
	t.Helper()
	dir := t.TempDir()
	read, write, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { _ = read.Close() })
	cmd, err := apikeyd(dir, nil, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
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
	return &server{process: p, t: t, dir: dir, url: url}, read
}
