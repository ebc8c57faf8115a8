package client_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store/storetest"
)

// guarded is a service behind a guard, which asks a running apikeyd.
type guarded struct {
	*kit
	clock *storetest.Clock
	asked *counter // the guard's questions
	gate  *gate    // holds them back
	log   *servertest.Log
	url   string
	http  *http.Client
	reach *counter // requests that reached the handler
}

// newGuarded starts a guarded service that requires the scope datasets:read. Its handler answers
// with the key's owner and name.
func newGuarded(t *testing.T, o client.GuardOptions) *guarded {
	t.Helper()
	clock := storetest.NewClock()
	g := &guarded{kit: newKit(t, servertest.Options{Now: clock.Now}), clock: clock, log: &servertest.Log{}}
	g.gate = &gate{base: g.Client.Transport}
	g.asked = &counter{base: g.gate}
	_, secret := g.Add(t, "resource server", "guard", "keys:verify")
	c := newClient(t, g.URL, secret.Reveal(), client.Options{
		HTTPClient: &http.Client{Transport: g.asked}, MaxRetries: -1,
	})
	g.serve(t, c, o)
	return g
}

// serve starts the guarded service, which asks with c.
func (g *guarded) serve(t *testing.T, c *client.Client, o client.GuardOptions) *client.Guard {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(g.log, nil))
	guard := client.NewGuard(c, o)
	if o.CacheFor > 0 {
		guard.SetNow(g.clock.Now)
	}
	g.reach = &counter{}
	server := httptest.NewServer(guard.Require("datasets:read")(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			g.reach.requests.Add(1)
			key, ok := client.KeyFrom(r.Context())
			if !ok {
				_, _ = io.WriteString(w, "nobody")
				return
			}
			_, _ = io.WriteString(w, key.Owner+"/"+key.Name)
		})))
	t.Cleanup(server.Close)
	g.url, g.http = server.URL, server.Client()
	return guard
}

// add creates a key of customer-42 that may read datasets.
func (g *guarded) add(t *testing.T, name string, limit client.RateLimit) client.CreatedKey {
	t.Helper()
	created, err := g.admin.ForOwner("customer-42").Create(t.Context(), client.NewKey{
		Name: name, ExpiresAt: g.clock.Now().AddDate(1, 0, 0), Scopes: &[]string{"datasets:read"}, RateLimit: &limit,
	})
	must(t, err)
	return created
}

// got is an answer of the guarded service.
type got struct {
	status int
	header http.Header
	body   string
	code   string // of an error
}

// get calls the guarded service with a secret.
func (g *guarded) get(t *testing.T, secret string) got {
	t.Helper()
	return g.call(t, http.MethodGet, http.Header{"X-Api-Key": {secret}})
}

// call calls the guarded service, whose errors must have the contract's shape.
func (g *guarded) call(t *testing.T, method string, header http.Header) got {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, g.url+"/datasets", nil)
	must(t, err)
	for name, values := range header {
		request.Header[name] = values
	}
	answer, err := g.http.Do(request)
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	a := got{status: answer.StatusCode, header: answer.Header, body: string(body)}
	if a.status == 200 || method == http.MethodHead {
		return a
	}
	var refusal struct {
		Status        int
		Code, Message string
	}
	must(t, json.Unmarshal(body, &refusal))
	if refusal.Status != a.status || refusal.Message == "" || a.header.Get("Content-Type") != "application/json" ||
		a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v: %s", a.status, a.header, a.body)
	}
	a.code = refusal.Code
	return a
}

// wantPass checks for the handler's answer to a key of customer-42.
func (a got) wantPass(t *testing.T, name string) {
	t.Helper()
	if a.status != 200 || a.body != "customer-42/"+name {
		t.Errorf("%d %s, want customer-42/%s", a.status, a.body, name)
	}
}

// wantRefused checks for an error with these headers.
func (a got) wantRefused(t *testing.T, status int, code, challenge, retryAfter string) {
	t.Helper()
	if a.status != status || a.code != code || a.header.Get("WWW-Authenticate") != challenge ||
		a.header.Get("Retry-After") != retryAfter {
		t.Errorf("%d %s %q %q, want %d %s %q %q", a.status, a.code, a.header.Get("WWW-Authenticate"),
			a.header.Get("Retry-After"), status, code, challenge, retryAfter)
	}
}

// direct sends one request through a middleware, without a network. The handler answers with the
// id of the key.
func direct(t *testing.T, require func(http.Handler) http.Handler, secret string) *httptest.ResponseRecorder {
	t.Helper()
	return directly(t.Context(), require, secret)
}

func directly(ctx context.Context, require func(http.Handler) http.Handler, secret string) *httptest.ResponseRecorder {
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	request.Header.Set("X-Api-Key", secret)
	recorder := httptest.NewRecorder()
	require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _ := client.KeyFrom(r.Context())
		_, _ = io.WriteString(w, "id: "+key.ID)
	})).ServeHTTP(recorder, request)
	return recorder
}

// gate holds requests back once it is closed.
type gate struct {
	base    http.RoundTripper
	mu      sync.Mutex
	held    chan struct{} // nil if it is open
	arrived chan struct{} // receives a value for each held request
}

// close holds all requests from now on. The channel receives a value for each.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held, g.arrived = make(chan struct{}), make(chan struct{}, 100)
	return g.arrived
}

// open lets all requests through.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.held)
	g.held = nil
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	held, arrived := g.held, g.arrived
	g.mu.Unlock()
	if held != nil {
		arrived <- struct{}{}
		select {
		case <-held:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return g.base.RoundTrip(r)
}

// The guard's challenges.
const (
	noKey    = `Bearer realm="api"`
	badKey   = noKey + `, error="invalid_token"`
	badScope = noKey + `, error="insufficient_scope", scope="datasets:read"`
)

// wantSecretFree checks that the guard logged none of the secrets.
func (g *guarded) wantSecretFree(t *testing.T, secrets ...client.Secret) {
	t.Helper()
	for _, secret := range secrets {
		wantNoSecret(t, g.log.String(), secret.Reveal())
	}
}
