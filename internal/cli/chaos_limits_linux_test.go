//go:build full

package cli

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"apikeyd/internal/testkit/program"
)

// With few file descriptors and many connections, open connections and the database keep working, and
// other clients wait until there is room.
func TestChaosFileDescriptors(t *testing.T) {
	t.Parallel()
	const descriptors = 64
	s := serveUnder(t, t.TempDir(), program.Path(t, "prlimit"), fmt.Sprintf("--nofile=%d:%[1]d", descriptors))
	admin := s.adminKey()

	before := s.connect(1)
	crowd := s.connect(4 * descriptors)
	must(t, s.wait(func() bool { return s.descriptors() >= descriptors/2 }))
	for i := range 20 {
		if status := before[0].create(t, admin, fmt.Sprint("crowded ", i)); status != http.StatusCreated {
			t.Errorf("a connection that was there gets status %d", status)
		}
	}
	t.Logf("%d of %d descriptors are open", s.descriptors(), descriptors)
	for _, c := range crowd {
		_ = c.Close()
	}
	s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("after"))
	must(t, s.terminate())
}

// idleConnections is how many idle connections the test opens.
const idleConnections = 10_000

// Many idle connections take little memory and delay no other client.
func TestChaosIdleConnections(t *testing.T) {
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	limit.Cur = limit.Max
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)) // a child inherits it
	if limit.Max < idleConnections+1000 {
		t.Skipf("this user may open only %d files", limit.Max)
	}
	s := serve(t, t.TempDir())
	admin := s.adminKey()
	before := s.memory()
	crowd := s.connect(idleConnections)
	must(t, s.wait(func() bool { return s.descriptors() >= idleConnections }))
	var end atomic.Bool
	time.AfterFunc(2*time.Second, func() { end.Store(true) })
	verified := s.verifyUntil(admin, &end)
	s.want(http.StatusCreated, "POST", "/v1/api-keys", admin, keyJSON("crowded"))
	grown := (s.memory() - before) / idleConnections
	if grown > 128<<10 { // a few KiB; several times as much with the race detector
		t.Errorf("an idle connection takes %d bytes", grown)
	}
	t.Logf("%d idle connections: %d bytes of memory each, %d verifications meanwhile", idleConnections, grown, verified)
	for _, c := range crowd {
		_ = c.Close()
	}
	must(t, s.terminate())
}

// connection is a connection to a server on which no data arrives unasked.
type connection struct{ net.Conn }

func (s *server) connect(n int) []connection {
	s.t.Helper()
	all := make([]connection, n)
	for i := range all {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		must(s.t, err)
		s.t.Cleanup(func() { _ = c.Close() })
		all[i] = connection{c}
	}
	return all
}

// create creates a key and returns the status of the answer.
func (c connection) create(t *testing.T, secret, name string) (status int) {
	t.Helper()
	body := keyJSON(name)
	must(t, c.SetDeadline(time.Now().Add(patience)))
	_, err := fmt.Fprintf(c, "POST /v1/api-keys HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", secret, len(body), body)
	must(t, err)
	answer := make([]byte, 16<<10) // an answer comes in one piece
	n, err := c.Read(answer)
	must(t, err)
	_, err = fmt.Sscanf(string(answer[:n]), "HTTP/1.1 %d", &status)
	must(t, err)
	return status
}

// descriptors returns how many files and connections a server has open.
func (s *server) descriptors() int {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	must(s.t, err)
	return len(open)
}
