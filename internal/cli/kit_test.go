package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"apikeyd/internal/testkit/program"
)

const (
	// patience is how long a server's answer may take.
	patience = 20 * time.Second
	// stuck is after how long a process is considered hung. Tests do not judge how long work takes on
	// a busy machine.
	stuck = 2 * time.Minute
)

// quickExit saves a program with the race detector its second of sleep at the end.
const quickExit = "atexit_sleep_ms=0"

// process is a running apikeyd.
type process struct {
	cmd    *exec.Cmd
	output program.Output // standard output and error
	exited chan struct{}  // closed when it has ended
}

// apikeyd is one command line of apikeyd, run in a folder with only this environment.
func apikeyd(dir string, env []string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := bare(dir, env, self, args...)
	cmd.Args[0] = "apikeyd" // see TestMain
	return cmd, nil
}

// bare is a command in a folder with only this environment.
func bare(dir string, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"HOME=/nonexistent", "GORACE=" + quickExit}, env...)
	return cmd
}

// runHere runs a command line in this process, with this standard input: starting a program takes
// longer than most commands run. Its folder and environment are the test's.
func runHere(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	reader, writer, err := os.Pipe()
	must(t, err)
	defer func() { _ = reader.Close() }() // the command may not read all of it
	_, err = writer.WriteString(stdin)    // a pipe buffers this much
	must(t, errors.Join(err, writer.Close()))
	var out, errs program.Output
	status = run(args, reader, &out, &errs)
	return out.String(), errs.String(), status
}

func launch(dir string, env []string, args ...string) (*process, error) {
	cmd, err := apikeyd(dir, env, args...)
	if err != nil {
		return nil, err
	}
	return start(cmd)
}

func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // its status is in cmd.ProcessState
		close(p.exited)
	}()
	return p, nil
}

var urlInLog = regexp.MustCompile(`msg=serving url=(https?://\S+)`)

// waitURL returns where the process serves, from its log.
func (p *process) waitURL() (url string, err error) {
	err = p.wait(func() bool {
		if groups := urlInLog.FindStringSubmatch(p.output.String()); groups != nil {
			url = groups[1]
		}
		return url != ""
	})
	return url, err
}

// wait polls until done, and fails if the process ends first.
func (p *process) wait(done func() bool) error {
	deadline := time.After(stuck)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-p.exited:
			if done() {
				return nil
			}
			return fmt.Errorf("apikeyd ended: %s\n%s", p.cmd.ProcessState, p.output.End())
		case <-deadline:
			return fmt.Errorf("apikeyd takes too long\n%s", p.output.End())
		case <-tick.C:
		}
	}
	return nil
}

// wantLog waits until the log has all parts: it is written in the background, so what happened may not be there yet.
func (s *server) wantLog(parts ...string) {
	s.t.Helper()
	for _, part := range parts {
		if err := s.wait(func() bool { return strings.Contains(s.output.String(), part) }); err != nil {
			s.t.Errorf("the log has no %q: %v", part, err)
			return
		}
	}
}

// terminate asks the process to end and checks that it does, with status 0.
func (p *process) terminate() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.waitExit(exitOK)
}

func (p *process) waitExit(want int) error {
	select {
	case <-p.exited:
	case <-time.After(stuck):
		return fmt.Errorf("apikeyd does not end\n%s", p.output.String())
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		return fmt.Errorf("exit status is %d, want %d\n%s", got, want, p.output.String())
	}
	return nil
}

// kill ends the process as kill -9 does, if it still runs.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// server is a running apikeyd serve, and a client of it.
type server struct {
	*process
	t   *testing.T
	dir string
	env []string // of commands that run next to it
	url string
}

// serve starts apikeyd serve with its data in dir and any free port.
func serve(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	return serveWith(t, dir, nil, append([]string{"--listen", "127.0.0.1:0"}, args...)...)
}

func serveWith(t *testing.T, dir string, env []string, args ...string) *server {
	t.Helper()
	p, err := launch(dir, env, append([]string{"serve"}, args...)...)
	must(t, err)
	t.Cleanup(func() {
		p.kill()
		wantNoSecret(t, p.output.String())
	})
	url, err := p.waitURL()
	must(t, err)
	return &server{process: p, t: t, dir: dir, url: url}
}

// answer is the part of an answer that these tests use.
type answer struct {
	status int
	body   string

	ID, Name, Secret, Message, Code string
	Status                          any // a word for a key, a number for an error
	Metadata                        map[string]string
	CreatedAt                       time.Time `json:"created_at"`
	ExpiresAt                       time.Time `json:"expires_at"`
}

// httpClient opens a connection for each request, so that no connection outlives its server.
var httpClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

// call makes a request. An empty secret or body is omitted.
func (s *server) call(method, path, secret, body string) answer {
	s.t.Helper()
	a, err := s.try(method, path, secret, body)
	must(s.t, err)
	return a
}

func (s *server) try(method, path, secret, body string) (answer, error) {
	response, err := s.send(method, path, secret, body)
	if err != nil {
		return answer{}, err
	}
	return readAnswer(response)
}

func (s *server) send(method, path, secret, body string) (*http.Response, error) {
	request, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if secret != "" {
		request.Header.Set("X-Api-Key", secret)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	return httpClient.Do(request)
}

func readAnswer(response *http.Response) (answer, error) {
	text, err := io.ReadAll(response.Body)
	err = errors.Join(err, response.Body.Close())
	a := answer{status: response.StatusCode, body: string(text)}
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	return a, err
}

// want is call, and checks the status.
func (s *server) want(status int, method, path, secret, body string) answer {
	s.t.Helper()
	a := s.call(method, path, secret, body)
	if a.status != status {
		s.t.Errorf("%s %s: status %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a
}

// adminKey returns the secret in the first key's file.
func (s *server) adminKey() string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "admin.key"))
	must(s.t, err)
	return strings.TrimSuffix(string(text), "\n")
}

// command runs apikeyd next to the server and returns its standard output.
func (s *server) command(args ...string) string {
	s.t.Helper()
	cmd, err := apikeyd(s.dir, s.env, args...)
	must(s.t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("apikeyd %q: %v\n%s", args, err, stderr.String())
	}
	wantNoSecret(s.t, stderr.String())
	return string(out)
}

var anonymousMemory = regexp.MustCompile(`RssAnon:\s+(\d+) kB`)

// memory returns the server's memory that is not backed by files, in bytes, or 0 if it is unknown.
func (s *server) memory() int {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	found := anonymousMemory.FindSubmatch(status)
	if err != nil || found == nil {
		return 0
	}
	kilobytes, err := strconv.Atoi(string(found[1]))
	must(s.t, err)
	return kilobytes << 10
}

// keyJSON is a request body for a key that lives for a day.
func keyJSON(name string) string { return keyEndingIn(name, 24*time.Hour) }

func keyEndingIn(name string, lifetime time.Duration) string {
	return fmt.Sprintf(`{"name":%q,"expires_at":%q}`, name, time.Now().Add(lifetime).Format(time.RFC3339Nano))
}

var likeSecret = regexp.MustCompile(`[a-z][a-z0-9_]*_[0-9A-Za-z]{60}`)

func wantNoSecret(t *testing.T, text string) {
	t.Helper()
	if found := likeSecret.FindString(text); found != "" {
		t.Errorf("a secret was printed: %s…", found[:12])
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
