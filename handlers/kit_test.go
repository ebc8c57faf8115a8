package handlers_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/handlers"
	servertest "apikeyd/internal/testkit/server"
	signertest "apikeyd/internal/testkit/signer"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
	"apikeyd/store/storetest"
	"apikeyd/verify"
)

// kit is one test's view of a running service.
type kit struct {
	*testing.T
	*world
}

// world is a real server over a real database, with its log.
type world struct {
	clock    *storetest.Clock
	db       *sqlstore.DB
	path     string // of the database
	verifier *verify.Verifier
	client   *http.Client // checks every exchange against the contract
	plain    *http.Client // does not
	host     string
	log      *servertest.Log
	secrets  *secrets
	github   signertest.Signer // signs as GitHub does; see scanned
	admin    key               // may do everything; owner "admin", name "admin"
}

var operator = store.Operator("test")

// newKit starts a service. Each configure may change its configuration.
func newKit(t *testing.T, configure ...func(*handlers.Config)) *kit {
	t.Helper()
	clock := storetest.NewClock()
	s := servertest.Start(t, servertest.Options{Now: clock.Now, Configure: configure})
	w := &world{
		clock: clock, db: s.DB, path: s.Path, verifier: s.Verifier, client: s.Client, plain: s.Plain,
		host: strings.TrimPrefix(s.URL, "http://"), log: s.Log, secrets: &secrets{},
	}
	// No test may leave a secret in the log.
	t.Cleanup(func() {
		if w.secrets.in(w.log.String()) {
			t.Errorf("the log holds a secret:\n%s", w.log)
		}
	})
	k := &kit{t, w}
	w.admin = k.add("admin", "admin", apikey.ScopeAdmin)
	return k
}

// Run runs a subtest on the same service.
func (k *kit) Run(name string, f func(k *kit)) {
	k.Helper()
	k.T.Run(name, func(t *testing.T) { f(&kit{t, k.world}) })
}

// storeOf returns a service's whole store.
func storeOf(c *handlers.Config) store.Store { return c.Store.(store.Store) }

func (k *kit) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// add stores a key that lives for ten years, as the operator.
func (k *kit) add(owner, name string, scopes ...string) key {
	k.Helper()
	added, secret, err := apikey.Policy{}.NewKey(k.clock.Now(), apikey.Settings{
		Owner: owner, Name: name, Scopes: scopes, ExpiresAt: k.clock.Now().AddDate(10, 0, 0),
	})
	k.must(err)
	k.must(k.db.CreateKey(k.Context(), operator, added))
	k.secrets.add(secret.Reveal())
	return key{ID: added.ID.String(), Owner: owner, Name: name, Scopes: scopes, Secret: secret.Reveal()}
}

// in returns the RFC 3339 time d from now.
func (k *kit) in(d time.Duration) string {
	return k.clock.Now().Add(d).Format("2006-01-02T15:04:05.999999999Z07:00")
}

// fields is a JSON object.
type fields map[string]any

// create requests a key, by default for one hour.
func (k *kit) create(by key, f fields) response {
	k.Helper()
	body := fields{"name": "a key", "expires_at": k.in(time.Hour)}
	for name, value := range f {
		body[name] = value
	}
	return k.do(request{method: "POST", path: keysPath, key: by.Secret, body: body.json()})
}

func (k *kit) mustCreate(by key, f fields) key {
	k.Helper()
	return k.create(by, f).want(201).key()
}

func (k *kit) get(by key, path string) response {
	k.Helper()
	return k.do(request{path: path, key: by.Secret})
}

func (k *kit) patch(by key, path string, f fields) response {
	k.Helper()
	return k.do(request{method: "PATCH", path: path, key: by.Secret, body: f.json()})
}

func (k *kit) revoke(by key, path string) response {
	k.Helper()
	return k.do(request{method: "DELETE", path: path, key: by.Secret})
}

// rotate requests another secret. Without fields it sends no body.
func (k *kit) rotate(by key, path string, f fields) response {
	k.Helper()
	path, query, _ := strings.Cut(path, "?")
	r := request{method: "POST", path: path + "/rotate", key: by.Secret}
	if query != "" {
		r.path += "?" + query
	}
	if f != nil {
		r.body = f.json()
	}
	return k.do(r)
}

// everything returns all keys.
func (k *kit) everything() []key {
	k.Helper()
	list := k.get(k.admin, keysPath+"?items_per_page=100").want(200).list()
	if list.Pagination.TotalPages > 1 {
		k.Fatal("more keys than one page holds")
	}
	return list.Data
}

const (
	keysPath    = "/v1/api-keys"
	forwardPath = "/v1/forward-auth"
)

// keyPath is the path of the key with this name or id.
func keyPath(name string) string { return keysPath + "/" + url.PathEscape(name) }

// ownersPath is the path of all owners.
const ownersPath = "/v1/owners"

// ownerPath is the path of an owner.
func ownerPath(owner string) string { return ownersPath + "/" + url.PathEscape(owner) }

func (f fields) json() string {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err) // a mistake in the test
	}
	return string(text)
}

// request is what a test sends. The path goes out byte for byte, its query included.
type request struct {
	method  string // GET if empty
	path    string
	key     string      // the secret to send as x-api-key, if any
	header  http.Header // further headers; a nil Content-Type sends none
	body    string
	chunked bool // sends no Content-Length
	failing bool // a 5xx is expected
	foreign bool // the contract does not describe such a request
	outside bool // net/http itself answers, before any handler
}

// do makes every request of these tests, and checks the rules that hold for every exchange.
func (k *kit) do(r request) response {
	k.Helper()
	path, query, asks := strings.Cut(r.path, "?")
	sent := &http.Request{
		Method: r.method,
		URL:    &url.URL{Scheme: "http", Host: k.host, Opaque: path, RawQuery: query, ForceQuery: asks},
		Header: r.header.Clone(),
	}
	if sent.Header == nil {
		sent.Header = http.Header{}
	}
	if r.key != "" {
		sent.Header.Set("X-Api-Key", r.key)
	}
	if r.body != "" || r.chunked {
		sent.Body = io.NopCloser(strings.NewReader(r.body))
		sent.ContentLength = int64(len(r.body))
		if r.chunked {
			sent.ContentLength = -1
		}
	}
	if _, told := sent.Header["Content-Type"]; r.body != "" && !told {
		sent.Header.Set("Content-Type", "application/json")
	}
	client := k.client
	if r.outside || r.foreign {
		client = k.plain
	}
	received, err := client.Do(sent.WithContext(k.Context()))
	if err != nil {
		k.Errorf("%s: %v", r, err)
		return response{k: k, request: r}
	}
	return k.read(r, received)
}

// read reads an answer and checks the rules that hold for every answer.
func (k *kit) read(r request, received *http.Response) response {
	k.Helper()
	raw, err := io.ReadAll(received.Body)
	if err := errors.Join(err, received.Body.Close()); err != nil {
		k.Errorf("%s: %v", r, err)
	}
	answer := response{k: k, request: r, status: received.StatusCode, header: received.Header, raw: raw}
	if !r.outside {
		answer.check()
	}
	return answer
}

// String names an exchange in failure messages.
func (r request) String() string {
	return fmt.Sprintf("%s %.80q", r.method, r.path)
}

// secrets are the secrets that a test has seen.
type secrets struct {
	mu     sync.Mutex
	traces []string // the random part of each, and its hash in several encodings
}

func (s *secrets) add(secret string) {
	hash := sha256.Sum256([]byte(secret))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.traces = append(s.traces, randomPart(secret), hex.EncodeToString(hash[:]),
		base64.RawStdEncoding.EncodeToString(hash[:]), fmt.Sprint(hash))
}

// in reports whether text holds a secret's random part or hash.
func (s *secrets) in(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.traces, func(trace string) bool { return strings.Contains(text, trace) })
}

// randomPart returns the 32 random characters of a secret.
func randomPart(secret string) string { return secret[len(secret)-38 : len(secret)-6] }
