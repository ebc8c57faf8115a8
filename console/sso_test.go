package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/console"
	"apikeyd/handlers"
	"apikeyd/internal/sso"
	identitytest "apikeyd/internal/testkit/identity"
)

// here is where browsers reach the console of a visitor.
const here = "http://example.com"

var grants = []sso.Grant{
	{Value: "admins", Owner: "admin", Scopes: apikey.Scopes{apikey.ScopeAdmin}},
	{Value: "customers", Owner: "acme", Scopes: apikey.Scopes{apikey.ScopeRead}},
}

// ssoKit is a service with single sign-on at a real provider.
type ssoKit struct {
	*kit
	provider *identitytest.Provider
	clock    *shiftedClock
}

// shiftedClock is the machine's clock, and wrong by as much as a test says.
type shiftedClock struct {
	mu sync.Mutex
	by time.Duration
}

func (c *shiftedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.by)
}

func (c *shiftedClock) shift(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by = by
}

// newSSOKit starts a service; configure may change its provider.
func newSSOKit(t *testing.T, configure func(*sso.Config, *console.Config)) *ssoKit {
	t.Helper()
	k := &ssoKit{provider: identitytest.Start(t, here+console.CallbackPath), clock: &shiftedClock{}}
	var api handlers.Config
	k.kit = newKit(t, options{api: func(c *handlers.Config) {
		c.AuthFailures = apikey.RateLimit{Limit: 60, Window: time.Minute}
		api = *c
	}, console: func(c *console.Config) {
		p := sso.Config{
			Issuer: k.provider.URL, ClientID: identitytest.Client, Secret: identitytest.Secret, Scopes: []string{"profile", "email"},
			Claim: "groups", Grants: grants, Lasts: time.Hour, Now: k.clock.now,
		}
		c.Sessions = handlers.NewSessions(api)
		c.SignIn.Callback = here + console.CallbackPath
		if configure != nil {
			configure(&p, c)
		}
		c.SignIn.Provider = sso.New(p)
	}})
	return k
}

// begin goes to the provider.
func (k *ssoKit) begin(v *visitor) string {
	k.Helper()
	return v.get("/console/sso?return=%2Fconsole%2Fkeys").want(http.StatusSeeOther).header.Get("Location")
}

// comeBack comes back from the provider.
func (v *visitor) comeBack(address string) reply {
	v.Helper()
	return v.get(strings.TrimPrefix(address, here))
}

// enter signs somebody in.
func (k *ssoKit) enter(v *visitor, user string) {
	k.Helper()
	a := v.comeBack(k.provider.SignIn(k.T, k.begin(v), user)).want(http.StatusOK, "You are signed in")
	if got := a.header.Get("Refresh"); got != "0; url=/console/keys" {
		k.Errorf("signing in leads to %q", got)
	}
}

// sessionsOf lists the keys of sessions.
func (k *kit) sessionsOf() (all []client.Key) {
	k.Helper()
	for key, err := range k.as(k.admin).List(k.Context(), client.ListOptions{Sessions: true}) {
		k.must(err)
		all = append(all, key)
	}
	return all
}

func TestSingleSignOn(t *testing.T) {
	t.Parallel()
	k := newSSOKit(t, nil)
	v := k.visitor()
	v.get("/console/sign-in").want(http.StatusOK, "Sign in with 127.0.0.1:", `name="secret"`)
	k.enter(v, "alice")
	v.get("/console").want(http.StatusOK, "alice@example.com")
	v.get("/console/audit").want(http.StatusOK, "Session began")
	session := k.sessionsOf()[0]
	if session.Name != "alice@example.com" || session.Owner != "admin" || session.Session != client.SessionSignIn ||
		session.Metadata["subject"] != "alice" || session.Metadata["issuer"] != k.provider.URL || time.Until(session.ExpiresAt) > time.Hour {
		t.Errorf("the session is %+v", session)
	}
	v.get("/console/keys").want(http.StatusOK)
	form := url.Values{"name": {"by alice"}, "owner": {"acme"}, "expires": {"custom"}, "custom": {time.Now().UTC().Add(24 * time.Hour).Format("2006-01-02T15:04")}}
	v.post("/console/keys/new", form).want(http.StatusSeeOther)
	var actor string
	for event, err := range k.as(k.admin).AuditEvents(t.Context(), client.AuditOptions{KeyID: k.get("acme", "by alice").ID}) {
		k.must(err)
		actor = event.Actor
	}
	if actor != session.ID {
		t.Errorf("the audit log names %s, want alice's session %s", actor, session.ID)
	}
	// Signing out ends it everywhere: a copy of the cookie is worth nothing.
	copied := v.copy()
	v.post("/console/sign-out", nil).want(http.StatusOK, "You are signed out here.", "/end_session?client_id=console")
	copied.get("/console/keys").want(http.StatusSeeOther)
	if ended := k.sessionsOf()[0]; ended.RevokedAt.IsZero() {
		t.Errorf("the session's key still works: %+v", ended)
	}

	bob := k.visitor()
	k.enter(bob, "bob") // whose groups only UserInfo tells
	bob.get("/console/keys").want(http.StatusOK)
	bob.get("/console/audit").want(http.StatusForbidden)
	bob.get("/console/keys/new").want(http.StatusForbidden, "read-only")
	mal := k.visitor()
	k.enter(mal, "mal")
	if name := k.sessionsOf()[0].Name; name != "mal" {
		t.Errorf("whoever has an address that is not verified is called %s", name)
	}
	// Keys still sign in, and end the session before.
	before := k.sessionsOf()[0]
	mal.signIn(k.admin)
	if k.sessionsOf()[0].RevokedAt.IsZero() {
		t.Errorf("the session %s was left open", before.ID)
	}
}

// Attacks on single sign-on, and a provider that is wrong.
func TestSingleSignOnAttacks(t *testing.T) {
	t.Parallel()
	const none = "does not prove who you are"
	// refused wants that nobody was signed in.
	refused := func(k *ssoKit, v *visitor, a reply, why string) {
		k.Helper()
		a.want(http.StatusForbidden, why)
		v.get("/console/keys").want(http.StatusSeeOther)
	}
	// swap answers with an ID token that another sign-in got.
	swap := func(k *ssoKit, token string) {
		k.provider.Answer = func(_ *http.Request, body []byte) []byte {
			var answer map[string]any
			k.must(json.Unmarshal(body, &answer))
			answer["id_token"] = token
			body, err := json.Marshal(answer)
			k.must(err)
			return body
		}
	}
	// tokenFor signs in with a client and returns the ID token.
	tokenFor := func(k *ssoKit, p *identitytest.Provider, clientID, nonce string) (token string) {
		k.Helper()
		address := p.URL + "/auth?" + url.Values{"client_id": {clientID}, "redirect_uri": {here + console.CallbackPath}, "response_type": {"code"},
			"scope": {"openid"}, "state": {"s"}, "nonce": {nonce}}.Encode()
		back, err := url.Parse(p.SignIn(k.T, address, "alice"))
		k.must(err)
		form := url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {here + console.CallbackPath}}
		r, err := http.NewRequestWithContext(k.Context(), http.MethodPost, p.URL+"/oauth/token", strings.NewReader(form.Encode()))
		k.must(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(identitytest.Secret))
		answer, err := k.Plain.Do(r)
		k.must(err)
		var body struct {
			Token string `json:"id_token"`
		}
		k.must(json.NewDecoder(answer.Body).Decode(&body))
		k.must(answer.Body.Close())
		if body.Token == "" {
			k.Fatalf("the provider answers %s", answer.Status)
		}
		return body.Token
	}
	nonceOf := func(k *ssoKit, address string) string {
		u, err := url.Parse(address)
		k.must(err)
		return u.Query().Get("nonce")
	}
	for name, attack := range map[string]func(k *ssoKit, v *visitor){
		"the callback comes twice": func(k *ssoKit, v *visitor) {
			address := k.provider.SignIn(k.T, k.begin(v), "alice")
			v.comeBack(address).want(http.StatusOK)
			v.post("/console/sign-out", nil)
			refused(k, v, v.comeBack(address), "was not begun in this browser")
		},
		"a code is replayed with a copy of the cookie": func(k *ssoKit, v *visitor) {
			address := k.begin(v)
			copied := v.copy()
			address = k.provider.SignIn(k.T, address, "alice")
			v.comeBack(address).want(http.StatusOK)
			refused(k, copied, copied.comeBack(address), "was not begun in this browser")
		},
		"guessing": func(k *ssoKit, v *visitor) {
			for range 60 {
				v.get("/console/sso/callback?code=x&state=x").want(http.StatusForbidden)
			}
			v.get("/console/sso/callback?code=x&state=x").want(http.StatusTooManyRequests, "Too many")
			k.enter(v, "alice") // a good sign-in passes all the same
		},
		"a stolen code in another browser": func(k *ssoKit, v *visitor) {
			address := k.provider.SignIn(k.T, k.begin(k.visitor()), "alice")
			refused(k, v, v.comeBack(address), "was not begun in this browser")
		},
		"a stolen code in another's sign-in": func(k *ssoKit, v *visitor) { // login CSRF and code injection
			stolen, err := url.Parse(k.provider.SignIn(k.T, k.begin(k.visitor()), "alice"))
			k.must(err)
			own, err := url.Parse(k.provider.SignIn(k.T, k.begin(v), "eve"))
			k.must(err)
			query := own.Query()
			query.Set("code", stolen.Query().Get("code"))
			refused(k, v, v.get("/console/sso/callback?"+query.Encode()), "refused this sign-in") // PKCE
		},
		"the state of another": func(k *ssoKit, v *visitor) {
			address, err := url.Parse(k.provider.SignIn(k.T, k.begin(v), "alice"))
			k.must(err)
			query := address.Query()
			query.Set("state", "another")
			refused(k, v, v.get("/console/sso/callback?"+query.Encode()), "was not begun in this browser")
		},
		"no state": func(k *ssoKit, v *visitor) {
			refused(k, v, v.get("/console/sso/callback?code=x&state="), "was not begun in this browser")
		},
		"a forged cookie": func(k *ssoKit, v *visitor) {
			k.begin(v)
			v.cookies["apikeyd_sso"] = "e30" + v.cookies["apikeyd_sso"][3:]
			refused(k, v, v.get("/console/sso/callback?code=x&state="), "was not begun in this browser")
		},
		"the provider says no": func(k *ssoKit, v *visitor) {
			address, err := url.Parse(k.begin(v))
			k.must(err)
			refused(k, v, v.get("/console/sso/callback?error=access_denied&state="+address.Query().Get("state")), "did not sign you in")
		},
		"somebody who is granted nothing": func(k *ssoKit, v *visitor) {
			refused(k, v, v.comeBack(k.provider.SignIn(k.T, k.begin(v), "eve")), "nothing is granted to you here")
		},
		"the token of another audience": func(k *ssoKit, v *visitor) {
			address := k.begin(v)
			token := tokenFor(k, k.provider, identitytest.Other, nonceOf(k, address))
			swap(k, token)
			refused(k, v, v.comeBack(k.provider.SignIn(k.T, address, "alice")), none)
		},
		"the token of another issuer": func(k *ssoKit, v *visitor) {
			address := k.begin(v)
			other := identitytest.Start(k.T, here+console.CallbackPath)
			token := tokenFor(k, other, identitytest.Client, nonceOf(k, address))
			swap(k, token)
			refused(k, v, v.comeBack(k.provider.SignIn(k.T, address, "alice")), none)
		},
		"the token of another sign-in": func(k *ssoKit, v *visitor) {
			token := tokenFor(k, k.provider, identitytest.Client, "another nonce")
			swap(k, token)
			refused(k, v, v.comeBack(k.provider.SignIn(k.T, k.begin(v), "alice")), none)
		},
		"a token without a signature": func(k *ssoKit, v *visitor) {
			address := k.begin(v)
			parts := strings.Split(tokenFor(k, k.provider, identitytest.Client, nonceOf(k, address)), ".")
			swap(k, "eyJhbGciOiJub25lIn0."+parts[1]+".")
			refused(k, v, v.comeBack(k.provider.SignIn(k.T, address, "alice")), none)
		},
		"no token": func(k *ssoKit, v *visitor) {
			address := k.begin(v)
			swap(k, "")
			refused(k, v, v.comeBack(k.provider.SignIn(k.T, address, "alice")), none)
		},
		"the provider's clock is far ahead": func(k *ssoKit, v *visitor) {
			address := k.provider.SignIn(k.T, k.begin(v), "alice")
			k.clock.shift(-5 * time.Minute)
			refused(k, v, v.comeBack(address), none)
		},
		"a sign-in of a day ago": func(k *ssoKit, v *visitor) {
			address := k.provider.SignIn(k.T, k.begin(v), "alice")
			k.clock.shift(24 * time.Hour)
			refused(k, v, v.comeBack(address), "was not begun in this browser")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newSSOKit(t, nil)
			attack(k, k.visitor())
		})
	}
	t.Run("an expired token", func(t *testing.T) {
		t.Parallel()
		var late bool
		k := newSSOKit(t, func(c *sso.Config, _ *console.Config) {
			now := c.Now
			c.Now = func() time.Time { // one hour is how long the provider's tokens last
				if late {
					return now().Add(2 * time.Hour)
				}
				return now()
			}
		})
		v := k.visitor()
		k.clock.shift(0)
		address := k.begin(v)
		token := tokenFor(k, k.provider, identitytest.Client, nonceOf(k, address))
		late = true
		address = k.begin(v)
		swap(k, token)
		refused(k, v, v.comeBack(k.provider.SignIn(k.T, address, "alice")), none)
	})
	t.Run("clocks that are a little apart", func(t *testing.T) {
		t.Parallel()
		for _, by := range []time.Duration{-30 * time.Second, 30 * time.Second} {
			k := newSSOKit(t, nil)
			v := k.visitor()
			address := k.provider.SignIn(k.T, k.begin(v), "alice")
			k.clock.shift(by)
			v.comeBack(address).want(http.StatusOK, "You are signed in")
		}
	})
	t.Run("the issuer is another one", func(t *testing.T) {
		t.Parallel()
		k := newSSOKit(t, func(c *sso.Config, _ *console.Config) {
			c.Issuer = strings.Replace(c.Issuer, "127.0.0.1", "localhost", 1)
		})
		k.visitor().get("/console/sso").want(http.StatusServiceUnavailable, "does not answer as it must", "sign in with a key meanwhile")
	})
	t.Run("the secret is another one", func(t *testing.T) {
		t.Parallel()
		k := newSSOKit(t, func(c *sso.Config, _ *console.Config) { c.Secret = "wrong" })
		v := k.visitor()
		refused(k, v, v.comeBack(k.provider.SignIn(k.T, k.begin(v), "alice")), "refused this sign-in")
	})
	t.Run("the provider is away", func(t *testing.T) {
		t.Parallel()
		k := newSSOKit(t, nil)
		k.provider.Away.Store(true)
		v := k.visitor()
		v.get("/console/sign-in").want(http.StatusOK)
		v.get("/console/sso").want(http.StatusServiceUnavailable, "does not answer as it must")
		v.signIn(k.admin) // keys still do
		k.provider.Away.Store(false)
		other := k.visitor()
		for deadline := time.Now().Add(30 * time.Second); other.get("/console/sso").status != http.StatusSeeOther; {
			if time.Now().After(deadline) {
				t.Fatal("the provider is back, and is not asked again")
			}
		}
		address := k.provider.SignIn(k.T, k.begin(other), "alice")
		k.provider.Away.Store(true)
		other.comeBack(address).want(http.StatusServiceUnavailable, "does not answer as it must")
		other.get("/console/keys").want(http.StatusSeeOther)
	})
	t.Run("keys do not sign in", func(t *testing.T) {
		t.Parallel()
		k := newSSOKit(t, func(_ *sso.Config, c *console.Config) { c.SignIn.NoKeys = true })
		v := k.visitor()
		if page := v.get("/console/sign-in").want(http.StatusOK).body; strings.Contains(page, `name="secret"`) {
			t.Errorf("the page asks for a key:\n%s", page)
		}
		v.post("/console/sign-in", url.Values{"secret": {k.admin.Secret}}).want(http.StatusNotFound)
		v.get("/console/keys").want(http.StatusSeeOther)
	})
}
