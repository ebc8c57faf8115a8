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
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	must(t, err)
	defer func() { _ = connection.Close() }()
	answers := bufio.NewReader(connection)
	_, err = fmt.Fprintf(connection, "POST /v1/api-keys HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		s.adminKey(), len(body))
	must(t, err)
	// The server asks for the body, so the request is in its hands.
	line, err := answers.ReadString('\n')
	must(t, err)
	if !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("the server does not ask for the body: %q", line)
	}
	_, err = answers.ReadString('\n')
	must(t, err)
	_, err = io.WriteString(connection, body[:10])
	must(t, err)

	must(t, s.cmd.Process.Signal(syscall.SIGTERM))
	must(t, s.wait(func() bool {
		_, err := s.try("GET", "/v1/api-keys", "", "")
		return err != nil // nothing new is accepted
	}))
	_, err = io.WriteString(connection, body[10:])
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
