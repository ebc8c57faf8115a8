package console_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/console"
	"apikeyd/handlers"
	"apikeyd/internal/basepath"
	servertest "apikeyd/internal/testkit/server"
)

// kit is a running service with its console, an administrator's key and an ordinary owner's.
type kit struct {
	*testing.T
	*servertest.Server
	admin, owner key
	sent         *record
	log          *slog.Logger
	handler      http.Handler // the whole service, for requests that browsers do not make
	base         string       // path below which it is served
}

// key is a stored key and its secret.
type key struct {
	apikey.Key
	Secret string
}

// options configure the service. The zero options are the program's defaults.
type options struct {
	now     func() time.Time
	api     func(*handlers.Config)
	console func(*console.Config)
	handler func(http.Handler) http.Handler // around everything, to break it
	longest time.Duration                   // maximum lifetime of a key; 0 means no maximum
	base    string                          // path below which everything is served
}

func newKit(t *testing.T, o options) *kit {
	t.Helper()
	k := &kit{T: t, sent: &record{}, base: o.base}
	log := slog.New(slog.DiscardHandler)
	now := o.now
	if now == nil {
		now = time.Now
	}
	k.Server = servertest.Start(t, servertest.Options{
		Now: now,
		Configure: []func(*handlers.Config){func(c *handlers.Config) {
			log = c.Log
			c.Policy.MaxLifetime = o.longest
			if o.api != nil {
				o.api(c)
			}
		}},
		Handler: func(api http.Handler) http.Handler {
			config := console.Config{API: api, Log: log, Now: now, MaxKeyLifetime: o.longest, About: func(context.Context) (console.About, error) {
				return console.About{
					Version: "v1.2.3", Started: now(), Database: "keys.db", Size: 1_234_567,
					Nodes: []console.Node{{Name: "one", Since: now().Add(-2 * time.Hour), Self: true}, {Name: "two", Since: now()}},
					Settings: []console.Setting{
						{Flag: "--listen", Value: "127.0.0.1:9000", Help: "Where it <listens>.", Changed: true}, {Flag: "--node", Help: "The node."},
					},
				}, nil
			}}
			if o.console != nil {
				o.console(&config)
			}
			k.log = log
			pages, err := console.New(config)
			k.must(err)
			mux := http.NewServeMux()
			mux.Handle("/", api)
			mux.Handle(console.Path, pages)
			mux.Handle(console.Path+"/", pages)
			handler := basepath.Handler(k.sent.of(mux), basepath.Options{Path: o.base})
			if o.handler != nil {
				handler = o.handler(handler)
			}
			k.handler = handler
			return handler
		},
	})
	k.admin = k.add("admin", "admin", apikey.ScopeAdmin)
	k.owner = k.add("acme", "acme's own", apikey.ScopeRead, apikey.ScopeWrite, "datasets:read")
	return k
}

// add stores a key.
func (k *kit) add(owner, name string, scopes ...string) key {
	k.Helper()
	stored, secret := k.Add(k.T, owner, name, scopes...)
	return key{Key: stored, Secret: secret.Reveal()}
}

func (k *kit) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// as returns a client of the API with a key.
func (k *kit) as(with key) *client.Client {
	k.Helper()
	checked := k.Client
	if k.base != "" {
		checked = k.Plain // the contract's paths begin at the root
	}
	c, err := client.New(k.URL+k.base, with.Secret, client.Options{HTTPClient: checked})
	k.must(err)
	return c
}

// record holds everything that the service sent, to search it.
type record struct {
	mu      sync.Mutex
	answers []sentAnswer
}

// sentAnswer is an answer to one request.
type sentAnswer struct {
	request string // method and path
	content bytes.Buffer
}

// of records the answers of a handler.
func (r *record) of(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		a := sentAnswer{request: request.Method + " " + request.URL.RequestURI()}
		next.ServeHTTP(&recorder{w, &a}, request)
		fmt.Fprint(&a.content, w.Header())
		r.mu.Lock()
		defer r.mu.Unlock()
		r.answers = append(r.answers, a)
	})
}

// with returns the requests whose answers contain a text uncompressed.
func (r *record) with(text string) (requests []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.answers {
		if strings.Contains(a.content.String(), text) || strings.Contains(a.request, text) {
			requests = append(requests, a.request)
		}
	}
	return requests
}

type recorder struct {
	http.ResponseWriter
	answer *sentAnswer
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) Write(p []byte) (int, error) {
	r.answer.content.Write(p)
	return r.ResponseWriter.Write(p)
}

// use verifies a key and writes its last use.
func (k *kit) use(used key) {
	k.Helper()
	answer, err := k.as(k.admin).Verify(k.Context(), used.Secret)
	k.must(err)
	if !answer.Valid() {
		k.Fatalf("the key is %s", answer.Code)
	}
	k.must(k.Verifier.Keys.Flush(k.Context()))
}

func pathOf(id fmt.Stringer, below ...string) string {
	return strings.Join(append([]string{"/console/keys/" + id.String()}, below...), "/")
}

// valid reports whether a secret is valid.
func (k *kit) valid(secret string) bool {
	k.Helper()
	answer, err := k.as(k.admin).Verify(k.Context(), secret)
	k.must(err)
	return answer.Valid()
}

// get returns a key as an administrator sees it.
func (k *kit) get(owner, name string) client.Key {
	k.Helper()
	found, err := k.as(k.admin).ForOwner(owner).Get(k.Context(), name)
	k.must(err)
	return found
}

// signedIn returns an HTTP client that is signed in with a key.
func (k *kit) signedIn(with key) *http.Client {
	k.Helper()
	jar, err := cookiejar.New(nil)
	k.must(err)
	c := &http.Client{Jar: jar, Timeout: time.Minute}
	answer, err := c.PostForm(k.URL+"/console/sign-in", url.Values{"secret": {with.Secret}})
	k.must(err)
	k.must(answer.Body.Close())
	if answer.StatusCode != http.StatusOK || answer.Request.URL.Path != "/console" {
		k.Fatalf("signing in answers %s at %s", answer.Status, answer.Request.URL)
	}
	return c
}
