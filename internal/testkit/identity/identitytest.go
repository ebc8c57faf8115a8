// Package identitytest starts a real OpenID Connect provider for a test, on 127.0.0.1. It is for tests only.
package identitytest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// Password is everybody's.
const Password = "a password for tests"

// The clients, and what both have as their secret. Other is not ours.
const (
	Client = "console"
	Other  = "another application"
	Secret = "the secret of a client"
)

// people have a user name, and groups, which only UserInfo tells of bob.
var people = map[string]struct {
	groups   []string
	inToken  bool
	verified bool
}{
	"alice": {[]string{"staff", "admins"}, true, true},
	"bob":   {[]string{"customers"}, false, true},
	"eve":   {[]string{"strangers"}, true, true},
	"mal":   {[]string{"customers"}, true, false}, // whose address is not verified
}

// Provider is a running provider.
type Provider struct {
	URL  string // the issuer
	Away atomic.Bool
	// Answer, if set, changes what the token endpoint answers.
	Answer func(r *http.Request, body []byte) []byte
}

// Start starts a provider that sends people back to these addresses.
func Start(t testing.TB, callbacks ...string) *Provider {
	t.Helper()
	p := &Provider{}
	server := httptest.NewUnstartedServer(nil)
	p.URL = "http://" + server.Listener.Addr().String()
	clients := map[string]*storage.Client{Client: storage.WebClient(Client, Secret, callbacks...), Other: storage.WebClient(Other, Secret, callbacks...)}
	provider := exampleop.SetupServer(p.URL, withGroups{storage.NewStorageWithClients(users{}, clients)}, nil, false)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.Away.Load() {
			panic(http.ErrAbortHandler) // hangs up
		}
		if p.Answer == nil || r.URL.Path != "/oauth/token" {
			provider.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		provider.ServeHTTP(answer, r)
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(p.Answer(r, answer.Body.Bytes()))
	})
	server.Start()
	t.Cleanup(server.Close)
	return p
}

// SignIn signs somebody in as a browser would, and returns the address to which the provider sends that browser back.
func (p *Provider) SignIn(t testing.TB, address, user string) string {
	t.Helper()
	browser := &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	follow := func(method, address string, form url.Values) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close() // redirects have none
		to, err := answer.Location()
		if err != nil {
			t.Fatalf("%s %s answers %s, no redirect", method, address, answer.Status)
		}
		return to.String()
	}
	login, err := url.Parse(follow(http.MethodGet, address, nil))
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"id": {login.Query().Get("authRequestID")}, "username": {user}, "password": {Password}}
	return follow(http.MethodGet, follow(http.MethodPost, p.URL+"/login/username", form), nil)
}

// users are the people.
type users struct{}

func (users) ExampleClientID() string { return Client }

func (users) GetUserByID(id string) *storage.User {
	person, known := people[id]
	if !known {
		return nil
	}
	return &storage.User{ID: id, Username: id, Password: Password, Email: id + "@example.com", EmailVerified: person.verified}
}

func (u users) GetUserByUsername(name string) *storage.User { return u.GetUserByID(name) }

// withGroups adds people's groups.
type withGroups struct{ *storage.Storage }

func (s withGroups) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, token op.IDTokenRequest, scopes []string) error {
	if person := people[token.GetSubject()]; person.inToken {
		info.AppendClaims("groups", person.groups)
	}
	return s.Storage.SetUserinfoFromRequest(ctx, info, token, scopes)
}

func (s withGroups) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, subject, origin string) error {
	info.AppendClaims("groups", people[subject].groups)
	return s.Storage.SetUserinfoFromToken(ctx, info, tokenID, subject, origin)
}
