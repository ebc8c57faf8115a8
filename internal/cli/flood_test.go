//go:build full

package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// trickle slowly repeats a piece of data until the server closes the connection.
func trickle(connection net.Conn, piece string) {
	for {
		if _, err := io.WriteString(connection, piece); err != nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// TestSlowClients fills a server that allows only a few connections with clients that hold on to them.
// The server closes them all, and then serves a good client that had to wait.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	var attacks sync.WaitGroup
	for name, attack := range map[string]func(s *server, connection net.Conn){
		"say nothing": func(*server, net.Conn) {},
		"send half a header": func(_ *server, connection net.Conn) {
			fmt.Fprint(connection, "GET /v1/api-keys HTTP/1.1\r\nHost: x\r\n")
		},
		"send a header slowly": func(_ *server, connection net.Conn) {
			fmt.Fprint(connection, "GET /v1/api-keys HTTP/1.1\r\nHost: x\r\nX-Long: ")
			go trickle(connection, "x")
		},
		"send a body slowly": func(s *server, connection net.Conn) {
			fmt.Fprintf(connection, "POST /v1/api-keys HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\n"+
				"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{", s.adminKey())
			go trickle(connection, " ")
		},
		"send a body that nobody asked for": func(_ *server, connection net.Conn) {
			fmt.Fprint(connection, "POST /v1/api-keys HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\n{")
			go trickle(connection, " ")
		},
		"send chunks slowly": func(s *server, connection net.Conn) {
			fmt.Fprintf(connection, "POST /v1/api-keys HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\n"+
				"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", s.adminKey())
			go trickle(connection, "1\r\n \r\n")
		},
		"ask for much and read nothing": func(s *server, connection net.Conn) {
			must(s.t, connection.(*net.TCPConn).SetReadBuffer(4096))
			one := fmt.Sprintf("GET /v1/api-keys?items_per_page=100 HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\n\r\n", s.adminKey())
			fmt.Fprint(connection, strings.Repeat(one, 12))
		},
		"speak TLS": func(_ *server, connection net.Conn) {
			fmt.Fprint(connection, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
		},
	} {
		// All at once, unlike parallel tests, because they only wait.
		attacks.Go(func() { t.Run(name, func(t *testing.T) { hold(t, name, attack) }) })
	}
	attacks.Wait()
}

// hold starts a server and attacks it with as many clients as it allows; one more client waits.
func hold(t *testing.T, name string, attack func(*server, net.Conn)) {
	t.Helper()
	const room = 3
	s := serve(t, t.TempDir(), "--max-connections", strconv.Itoa(room))
	if strings.HasPrefix(name, "ask for much") {
		s.fill(100)
	}
	secret := s.adminKey()
	for range room {
		attack(s, s.dial())
	}
	hurried := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 300 * time.Millisecond}
	if _, err := s.get(hurried, secret); err == nil && name != "speak TLS" { // that is answered at once
		t.Error("there was room for one more: nothing was shown")
	}
	// The server's longest patience is 15 s, and answers of 11 MB take a busy machine a while.
	waiting := &http.Client{Transport: hurried.Transport, Timeout: time.Minute}
	if got, err := s.get(waiting, secret); err != nil || got.status != http.StatusOK {
		t.Errorf("whoever had to wait is answered %v, %v", got, err)
	}
}

// fill creates keys with the most metadata allowed.
func (s *server) fill(keys int) {
	s.t.Helper()
	var entries []string
	for i := range 20 {
		entries = append(entries, fmt.Sprintf(`"%d":%q`, i, strings.Repeat("<", 500))) // six bytes each in an answer
	}
	for i := range keys {
		body := fmt.Sprintf(`{"name":"%d","expires_at":"2099-01-01T00:00:00Z","metadata":{%s}}`, i, strings.Join(entries, ","))
		s.want(http.StatusCreated, "POST", "/v1/api-keys", s.adminKey(), body)
	}
}

// TestIdleConnections holds many idle connections, and is still served.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	for range 500 {
		connection := s.dial()
		fmt.Fprint(connection, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if status, err := readStatus(bufio.NewReader(connection)); err != nil || status != http.StatusOK {
			t.Fatalf("status %d, %v", status, err)
		}
	}
	s.want(http.StatusOK, "GET", "/v1/api-keys", s.adminKey(), "")
}

// TestFloodOfBadKeys: a good key from the address of the flood is always served, and memory
// does not grow.
func TestFloodOfBadKeys(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--auth-failures-per-minute", "20", "--trusted-proxies", "127.0.0.1")
	secret := s.adminKey()
	pooled := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: patience}
	t.Cleanup(pooled.CloseIdleConnections)
	bad := func(i int64) (int, error) {
		r, err := http.NewRequest(http.MethodGet, s.url+"/v1/api-keys", http.NoBody)
		if err != nil {
			return 0, err
		}
		r.Header.Set("X-Api-Key", fmt.Sprintf("hunter%d", i))
		if i%2 == 0 { // half of the flood comes from many addresses
			r.Header.Set("X-Forwarded-For", fmt.Sprintf("2001:db8:%x:%x::1", i>>16&0xffff, i&0xffff))
		}
		response, err := pooled.Do(r)
		if err != nil {
			return 0, err
		}
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode, response.Body.Close()
	}
	var sent atomic.Int64
	var slowed, refused atomic.Int64
	flood := func(until int64) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for i := sent.Add(1); i <= until; i = sent.Add(1) {
					switch status, err := bad(i); {
					case err != nil:
						t.Error(err)
					case status == http.StatusTooManyRequests:
						slowed.Add(1)
					case status == http.StatusUnauthorized:
						refused.Add(1)
					default:
						t.Errorf("a bad key is answered %d", status)
					}
				}
			})
		}
		all.Wait()
	}
	ctx, stop := context.WithCancel(t.Context())
	var good sync.WaitGroup
	served := 0
	good.Go(func() {
		for ctx.Err() == nil {
			s.want(http.StatusOK, "GET", "/v1/api-keys", secret, "")
			served++
		}
	})
	flood(24_000) // more addresses than the limiter remembers
	before := s.memory()
	flood(48_000)
	after := s.memory()
	stop()
	good.Wait()
	t.Logf("%d bad calls: %d refused, %d slowed down; %d good ones beside them; %d, then %d MiB",
		refused.Load()+slowed.Load(), refused.Load(), slowed.Load(), served, before>>20, after>>20)
	if served == 0 || slowed.Load() < 20_000 || refused.Load() < 20_000 {
		t.Error("there was no flood, or nobody beside it")
	}
	if after > before+32<<20 {
		t.Errorf("memory grew from %d to %d MiB", before>>20, after>>20)
	}
}
