//go:build full && !race

package cli

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// mostGrown is the most that a server's memory grows within five seconds.
func (s *server) mostGrown(before int) int {
	most := 0
	for range 50 {
		time.Sleep(100 * time.Millisecond) // there is nothing to wait for but memory
		most = max(most, s.memory()-before)
	}
	return most
}

// TestUnfinishedRequests checks what docs/security.md says about requests that arrive only in part.
func TestUnfinishedRequests(t *testing.T) {
	const count, mostEach = 1500, 256 << 10 // live memory, and as much garbage
	post := "POST /v1/leaked-keys HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 65000\r\n\r\n"
	body := `{"key":"` + strings.Repeat("x", 64_000)
	for name, sent := range map[string]string{
		"a line":          "POST /v1/lea",
		"a large header":  "POST /v1/leaked-keys HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 30<<10),
		"many headers":    "POST /v1/leaked-keys HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 30<<10/6),
		"start of a body": post + "{",
		"most of a body":  post + body,
		"both":            strings.Replace(post, "\r\n\r\n", "\r\nX: "+strings.Repeat("x", 30<<10)+"\r\n\r\n", 1) + body,
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, t.TempDir())
			s.want(http.StatusOK, "GET", "/v1/api-keys", s.adminKey(), "")
			before := s.memory()
			for range count {
				_, err := io.WriteString(s.dial(), sent)
				must(t, err)
			}
			each := s.mostGrown(before) / count
			t.Logf("%d KiB each", each>>10)
			if each > mostEach {
				t.Errorf("each takes %d KiB, and may take %d", each>>10, mostEach>>10)
			}
		})
	}
}

// TestUnreadAnswers requests large pages and reads none. Memory is bounded, and other clients' lists
// still work.
func TestUnreadAnswers(t *testing.T) {
	const count, most = 100, 80 << 20 // eight pages of 6 MB, and the data behind them
	s := serve(t, t.TempDir())
	s.fill(100)
	other := s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(),
		strings.TrimSuffix(keyJSON("other"), "}")+`,"owner":"another","scopes":["keys:read"]}`).Secret
	before := s.memory()
	for range count {
		connection := s.dial()
		must(t, connection.(*net.TCPConn).SetReadBuffer(4096))
		_, err := fmt.Fprintf(connection, "GET /v1/api-keys?items_per_page=100 HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\n\r\n", s.adminKey())
		must(t, err)
		time.Sleep(20 * time.Millisecond) // of more at once, some would be refused
	}
	grown := s.mostGrown(before)
	t.Logf("memory grew by %d MB", grown>>20)
	if grown > most {
		t.Errorf("memory grew by %d MB, and may by %d", grown>>20, most>>20)
	}
	s.want(http.StatusOK, "GET", "/v1/api-keys", other, "")
}
