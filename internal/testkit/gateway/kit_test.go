//go:build full

package gateways_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"apikeyd/apikey"
	"apikeyd/handlers"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store/storetest"
)

// kit is a gateway in front of an API, which asks a real service.
type kit struct {
	*testing.T
	*world
}

type world struct {
	url      string // of the gateway
	clock    *storetest.Clock
	service  *servertest.Server
	asked    *asked
	upstream *upstream
	client   *http.Client
	admin    string
}

// mostFailures is how many bad keys a client may send in a minute: more than any other test case sends.
const mostFailures = 60

func newKit(t *testing.T, g gateway, p page, replace ...string) *kit {
	t.Helper()
	w := &world{clock: storetest.NewClock(), asked: &asked{release: make(chan struct{})}, upstream: &upstream{}}
	w.service = servertest.Start(t, servertest.Options{Now: w.clock.Now, Handler: w.asked.watch,
		Configure: []func(*handlers.Config){func(c *handlers.Config) {
			c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
			c.AuthFailures = apikey.RateLimit{Limit: mostFailures, Window: time.Minute}
		}}})
	t.Cleanup(func() { close(w.asked.release) }) // before the service stops, because it waits for its answers
	server := httptest.NewUnstartedServer(w.upstream)
	server.Listener = recorded{server.Listener, w.upstream}
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections() // upgraded ones too
		server.Close()
	})
	_, admin := w.service.Add(t, "admin", "admin", "keys:admin")
	w.admin = admin.Reveal()
	w.url = g.start(t, p, w.service.URL, server.URL, replace...)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport, Timeout: patience}
	return &kit{t, w}
}

// Run runs a subtest on the same gateway.
func (k *kit) Run(name string, f func(k *kit)) {
	k.Helper()
	k.T.Run(name, func(t *testing.T) { f(&kit{t, k.world}) })
}

// fields is a JSON object.
type fields map[string]any

// key is a created key.
type key struct {
	ID, Name, Owner, Secret string
	Scopes                  []string
}

// key creates a key that lives an hour, with the given fields.
func (k *kit) key(f fields) key {
	k.Helper()
	body := fields{"owner": "customer-42", "expires_at": k.clock.Now().Add(time.Hour).Format(time.RFC3339)}
	for name, value := range f {
		body[name] = value
	}
	var created key
	k.manage("POST", "/v1/api-keys", body, http.StatusCreated, &created)
	return created
}

// reader creates a key that may read reports.
func (k *kit) reader(name string) key {
	k.Helper()
	return k.key(fields{"name": name, "scopes": []string{"reports:read"}})
}

func (k *kit) revoke(key key) {
	k.Helper()
	k.manage("DELETE", "/v1/api-keys/"+key.ID, nil, http.StatusOK, nil)
}

// manage calls the service itself, as the operator does.
func (k *kit) manage(method, path string, body fields, want int, result any) {
	k.Helper()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		must(k, err)
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, k.service.URL+path, content)
	must(k, err)
	request.Header.Set("X-Api-Key", k.admin)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := k.service.Client.Do(request)
	must(k, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(k, err)
	if response.StatusCode != want {
		k.Fatalf("%s %s: status %d, want %d: %s", method, path, response.StatusCode, want, text)
	}
	if result != nil {
		must(k, json.Unmarshal(text, result))
	}
}

// request is a request of a client to the gateway.
type request struct {
	method string // GET if empty
	path   string // with its query, sent as it is
	header http.Header
	body   io.Reader
}

// with returns the header of a client with this secret.
func with(secret string) http.Header { return http.Header{"X-Api-Key": {secret}} }

// answer is the client's answer, and what reached the upstream.
type answer struct {
	*http.Response
	body    string
	reached []received
}

func (k *kit) send(r request) answer {
	k.Helper()
	k.upstream.take()
	sent, err := http.NewRequest(r.method, k.url, r.body)
	must(k, err)
	sent.URL.Opaque = r.path // sent as it is
	if r.header != nil {
		sent.Header = r.header
	}
	response, err := k.client.Do(sent)
	must(k, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(k, err)
	return answer{Response: response, body: string(body), reached: k.upstream.take()}
}

// passes sends a request that must reach the upstream, and returns what reached it.
func (k *kit) passes(r request) received {
	k.Helper()
	a := k.send(r)
	if a.StatusCode != http.StatusOK || len(a.reached) != 1 {
		k.Fatalf("%s: status %d, want 200; reached the upstream %d times, want once: %s",
			r.path, a.StatusCode, len(a.reached), a.body)
	}
	return a.reached[0]
}

// refused sends a request that must not reach the upstream, and returns the answer.
func (k *kit) refused(r request, want int) answer {
	k.Helper()
	a := k.send(r)
	if a.StatusCode != want {
		k.Errorf("%s: status %d, want %d: %s", r.path, a.StatusCode, want, a.body)
	}
	if len(a.reached) != 0 {
		k.Errorf("%s: reached the upstream", r.path)
	}
	return a
}

// asked sits between the gateway and the service. It records the questions and can stop the service
// from answering.
type asked struct {
	mu        sync.Mutex
	questions []question
	state     state
	release   chan struct{}
}

type state int

const (
	answering state = iota
	failing         // as with an unavailable database
	hanging
	untrusted // as with a gateway that is not a trusted proxy
)

// question is a request of the gateway to the service.
type question struct {
	uri, from string
	hasBody   bool
}

func (a *asked) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v1/forward-auth") {
			next.ServeHTTP(w, r)
			return
		}
		a.mu.Lock()
		a.questions = append(a.questions, question{
			uri: r.RequestURI, from: r.RemoteAddr, hasBody: r.ContentLength != 0,
		})
		state := a.state
		a.mu.Unlock()
		switch state {
		case answering:
			next.ServeHTTP(w, r)
		case untrusted:
			r.RemoteAddr = "203.0.113.1:1"
			next.ServeHTTP(w, r)
		case failing:
			http.Error(w, `{"status": 503}`, http.StatusServiceUnavailable)
		case hanging:
			select {
			case <-r.Context().Done():
			case <-a.release:
			}
		}
	})
}

func (a *asked) become(s state) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = s
}

// take returns the questions since the last call.
func (a *asked) take() []question {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.questions
	a.questions = nil
	return taken
}

// upstream is an API that records its requests and accepts any upgrade.
type upstream struct {
	mu  sync.Mutex
	got []received
	raw bytes.Buffer // every byte
}

type received struct {
	method, uri, body string
	header            http.Header
}

// ServeHTTP implements http.Handler.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	u.mu.Lock()
	u.got = append(u.got, received{method: r.Method, uri: r.RequestURI, body: string(body), header: r.Header})
	u.mu.Unlock()
	if protocol := strings.Join(r.Header.Values("Upgrade"), ", "); protocol != "" {
		u.upgrade(w, protocol, r.Header.Get("Sec-WebSocket-Key"))
	}
}

// upgrade echoes a WebSocket, and speaks HTTP/2 for any other protocol.
func (u *upstream) upgrade(w http.ResponseWriter, protocol, key string) {
	connection, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // it speaks HTTP/2 already
	}
	defer func() { _ = connection.Close() }()                                // the client may have closed it
	accept := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455, section 1.3
	_, _ = fmt.Fprintf(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", protocol, base64.StdEncoding.EncodeToString(accept[:]))
	if strings.EqualFold(protocol, "websocket") {
		_, _ = io.Copy(connection, buffered) // until the client closes it
		return
	}
	//nolint:staticcheck // SA1019: http.Server takes over no connection that was upgraded
	new(http2.Server).ServeConn(connection, &http2.ServeConnOpts{Handler: u})
}

// recorded is a listener whose connections the upstream records.
type recorded struct {
	net.Listener
	by *upstream
}

// Accept implements net.Listener.
func (l recorded) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	return recordedConn{connection, l.by}, err
}

type recordedConn struct {
	net.Conn
	by *upstream
}

// Read implements net.Conn.
func (c recordedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.by.mu.Lock()
	defer c.by.mu.Unlock()
	c.by.raw.Write(p[:n])
	return n, err
}

// takeRaw returns every byte received since the last call.
func (u *upstream) takeRaw() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	defer u.raw.Reset()
	return u.raw.String()
}

// take returns the requests received since the last call.
func (u *upstream) take() []received {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.got
	u.got = nil
	return taken
}

// folded returns the headers as variables, as CGI, WSGI and others see them: characters that are
// neither letters nor digits become "_".
func (r received) folded() map[string][]string {
	variables := map[string][]string{}
	for name, values := range r.header {
		variable := strings.Map(func(c rune) rune {
			switch {
			case 'a' <= c && c <= 'z':
				return c - 'a' + 'A'
			case 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
				return c
			}
			return '_'
		}, name)
		variables[variable] = append(variables[variable], values...)
	}
	return variables
}
