//go:build full

package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestUnfinishedRequests holds what requests cost of which only a part came.
func TestUnfinishedRequests(t *testing.T) {
	const count = 1500
	post := "POST /v1/leaked-keys HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 65000\r\n\r\n"
	for name, sent := range map[string]string{
		"a line":          "POST /v1/lea",
		"a large header":  "POST /v1/leaked-keys HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 30<<10),
		"many headers":    "POST /v1/leaked-keys HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 30<<10/6),
		"start of a body": post + "{",
		"most of a body":  post + `{"key":"` + strings.Repeat("x", 64_000),
		"33 KB of a body": post + `{"key":"` + strings.Repeat("x", 33_000),
		"both":  strings.Replace(post, "\r\n\r\n", "\r\nX: "+strings.Repeat("x", 30<<10)+"\r\n\r\n", 1) + `{"key":"` + strings.Repeat("x", 64_000),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, t.TempDir())
			s.want(http.StatusOK, "GET", "/v1/api-keys", s.adminKey(), "")
			before, most := s.memory(), 0
			for range count {
				connection := s.dial()
				_, err := io.WriteString(connection, sent)
				must(t, err)
			}
			for range 20 {
				time.Sleep(100 * time.Millisecond)
				most = max(most, s.memory())
			}
			t.Logf("%s: %d KiB each", name, (most-before)/count>>10)
		})
	}
}
