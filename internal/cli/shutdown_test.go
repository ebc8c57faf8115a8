package cli

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// SIGTERM while a request is in flight: it gets its answer, nothing new is accepted,
// and the last-used times that were in memory are in the database.
func TestTerminateFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	body := keyJSON("slow")
	connection, answers := s.inFlight(body)
	must(t, s.cmd.Process.Signal(syscall.SIGTERM))
	must(t, s.wait(s.acceptsNothing))
	_, err := io.WriteString(connection, body[10:])
	must(t, err)
	response, err := http.ReadResponse(answers, nil)
	must(t, err)
	created, err := readAnswer(response)
	must(t, err)
	if created.status != http.StatusCreated || created.Name != "slow" {
		t.Errorf("the answer is %d", created.status)
	}
	must(t, s.waitExit(exitOK))

	list := s.command("keys", "list")
	for name, lastUsed := range map[string]string{"slow": "never", "admin": `\d{4}-\S+Z`} {
		row := regexp.MustCompile(`(?m)^\S+ +admin +` + name + ` .* ACTIVE +\S+ +` + lastUsed + ` +keys:`)
		if !row.MatchString(list) {
			t.Errorf("the list has no row %s:\n%s", row, list)
		}
	}
}

// inFlight sends a creation without the end of its body, which the server waits for.
func (s *server) inFlight(body string) (connection net.Conn, answers *bufio.Reader) {
	s.t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	must(s.t, err)
	s.t.Cleanup(func() { _ = connection.Close() })
	answers = bufio.NewReader(connection)
	_, err = fmt.Fprintf(connection, "POST /v1/api-keys HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		s.adminKey(), len(body))
	must(s.t, err)
	// The server asks for the body, so the request is in its hands.
	line, err := answers.ReadString('\n')
	must(s.t, err)
	if !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		s.t.Fatalf("the server does not ask for the body: %q", line)
	}
	_, err = answers.ReadString('\n')
	must(s.t, err)
	_, err = io.WriteString(connection, body[:10])
	must(s.t, err)
	return connection, answers
}

// acceptsNothing reports whether the server has begun to stop.
func (s *server) acceptsNothing() bool {
	_, err := s.try("GET", "/v1/api-keys", "", "")
	return err != nil
}

// The second signal does not wait for what is in flight, and no acknowledged change is lost.
func TestSecondInterruptEndsAtOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		first, second syscall.Signal
		status        int
	}{
		"Ctrl-C twice":            {syscall.SIGINT, syscall.SIGINT, exitInterrupted},
		"SIGTERM twice":           {syscall.SIGTERM, syscall.SIGTERM, exitTerminated},
		"SIGTERM and then Ctrl-C": {syscall.SIGTERM, syscall.SIGINT, exitInterrupted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, t.TempDir())
			s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), keyJSON("acknowledged"))
			_, _ = s.inFlight(keyJSON("never finished"))
			must(t, s.cmd.Process.Signal(tt.first))
			must(t, s.wait(s.acceptsNothing))
			select {
			case <-s.exited:
				t.Fatalf("it does not wait for what is in flight:\n%s", s.output.String())
			default:
			}
			must(t, s.cmd.Process.Signal(tt.second))
			must(t, s.waitExit(tt.status))
			out := s.output.String()
			if !strings.Contains(out, "apikeyd: interrupted again; ending at once") || strings.Contains(out, "msg=stopped") {
				t.Errorf("it says\n%s", out)
			}
			if list := s.command("keys", "list"); !strings.Contains(list, "acknowledged") || strings.Contains(list, "never finished") {
				t.Errorf("there are\n%s", list)
			}
		})
	}
}
