package cli

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// dial opens a plain connection to a server.
func (s *server) dial() net.Conn {
	s.t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	must(s.t, err)
	s.t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// TestBadRequests sends malformed requests. If the end of a request is ambiguous, what follows is not
// read as another request.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	const (
		next  = "GET /v1/api-keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
		start = "POST /v1/leaked-keys HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	)
	for name, tt := range map[string]struct {
		sent     string
		statuses []int // of all answers until the server hangs up
	}{
		"length and chunks":              {start + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, []int{400}},
		"chunks and length":              {start + "Transfer-Encoding: chunked\r\nContent-Length: 48\r\n\r\n0\r\n\r\n" + next, []int{400}},
		"chunks alone":                   {start + "Transfer-Encoding: chunked\r\n\r\n9\r\n{\"key\":1}\r\n0\r\n\r\n" + next, []int{400}},
		"chunks, folded":                 {start + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + next, []int{400}},
		"chunks in HTTP/1.0":             {strings.Replace(start, "1.1", "1.0", 1) + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, []int{400}},
		"chunks twice":                   {start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, []int{501}},
		"chunks and identity":            {start + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + next, []int{501}},
		"another coding":                 {start + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + next, []int{501}},
		"a space before the colon":       {start + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + next, []int{400}},
		"a tab before the value":         {start + "Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n" + next, []int{400}},
		"two lengths":                    {start + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}    " + next, []int{400}},
		"two lengths in one":             {start + "Content-Length: 2, 2\r\n\r\n{}" + next, []int{400}},
		"a length with a sign":           {start + "Content-Length: +2\r\n\r\n{}" + next, []int{400}},
		"a negative length":              {start + "Content-Length: -1\r\n\r\n{}" + next, []int{400}},
		"a length in base 16":            {start + "Content-Length: 0x2\r\n\r\n{}" + next, []int{400}},
		"a chunk of a wrong size":        {start + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + next, []int{400}},
		"a huge chunk":                   {start + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n" + next, []int{400}},
		"a carriage return in a header":  {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n" + next, []int{400}},
		"NUL in a header":                {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n" + next, []int{400}},
		"two hosts":                      {"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + next, []int{400}},
		"no host":                        {"GET /healthz HTTP/1.1\r\n\r\n" + next, []int{400}},
		"a header without a name":        {"GET /healthz HTTP/1.1\r\nHost: x\r\n: x\r\n\r\n" + next, []int{400}},
		"garbage":                        {"\x00\xff\x17 nonsense\r\n\r\n" + next, []int{400}},
		"garbage after a request":        {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n\x00\xff\r\n\r\n" + next, []int{200, 400}},
		"a header of 64 KB":              {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n" + next, []int{431}},
		"20,000 headers":                 {"GET /healthz HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 20_000) + "\r\n" + next, []int{431}},
		"a request line of 64 KB":        {"GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n" + next, []int{431}},
		"a body where there is none":     {"GET /v1/api-keys HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}" + next, []int{401}},
		"a body over 64 KiB":             {start + "Content-Length: 70000\r\n\r\n" + strings.Repeat(" ", 70_000) + next, []int{413, 401}},
		"a body over 64 KiB, in chunks":  {start + "Transfer-Encoding: chunked\r\n\r\n11170\r\n" + strings.Repeat(" ", 70_000) + "\r\n0\r\n\r\n" + next, []int{413}},
		"HTTP/2 in plain text":           {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{404}},
		"a request to become HTTP/2":     {"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", []int{200}},
		"requests one after the other":   {strings.Repeat(strings.Replace(next, "close", "keep-alive", 1), 3) + next, []int{401, 401, 401, 401}},
		"a proxy's request for a tunnel": {"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nConnection: close\r\n\r\n", []int{404}},
	} {
		connection := s.dial()
		go io.WriteString(connection, tt.sent) //nolint:errcheck // it may hang up before the end
		_ = connection.SetReadDeadline(time.Now().Add(patience))
		answers := bufio.NewReader(connection)
		var statuses []int
		status, err := readStatus(answers)
		for ; status != 0; status, err = readStatus(answers) {
			statuses = append(statuses, status)
		}
		if fmt.Sprint(statuses) != fmt.Sprint(tt.statuses) || os.IsTimeout(err) {
			t.Errorf("%s: answered %v, then %v; want %v", name, statuses, err, tt.statuses)
		}
	}
	s.want(http.StatusOK, "GET", "/v1/api-keys", s.adminKey(), "")
}
