package handlers_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/handlers"
)

// most is how many failures per minute these tests allow an address.
const most = 5

func withAuthLimit(c *handlers.Config) {
	c.AuthFailures = apikey.RateLimit{Limit: most, Window: time.Minute}
}

// proxied makes the service trust the test as a proxy.
func proxied(c *handlers.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// forwarded returns a request as a proxy forwards it.
func forwarded(r request, from string) request {
	r.header = r.header.Clone()
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set("X-Forwarded-For", from)
	return r
}

// slowed expects a refusal because of too many failures.
func (r response) slowed(status int, seconds string) {
	r.k.Helper()
	r.refused(status, "TOO_MANY_REQUESTS")
	r.wantHeader("Retry-After", seconds)
	if r.header.Get("Www-Authenticate") != "" {
		r.k.Errorf("%s: a challenge invites an immediate retry", r.request)
	}
}

func TestFailuresAreSlowedDown(t *testing.T) {
	t.Parallel()
	for kind, try := range badCredentials() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			k := newKit(t, withAuthLimit, proxied)
			request := try(k)
			for range most {
				k.do(forwarded(request, "192.0.2.1")).want(401)
			}
			k.do(forwarded(request, "192.0.2.1")).slowed(429, "12")
			k.do(forwarded(request, "192.0.2.2")).want(401) // others are not affected
			k.do(forwarded(request, "")).want(401)          // nor is the proxy itself

			// A valid key passes even from a limited address, and resets nothing.
			k.do(forwarded(requestOf(k.admin), "192.0.2.1")).want(200)
			k.do(forwarded(request, "192.0.2.1")).slowed(429, "12")
			k.clock.Advance(12 * time.Second)
			k.do(forwarded(request, "192.0.2.1")).want(401)
			k.do(forwarded(request, "192.0.2.1")).slowed(429, "12")
		})
	}
}

// requestOf returns a valid request. The contract does not describe the proxy's header.
func requestOf(by key) request { return request{path: keysPath, key: by.Secret, foreign: true} }

// badCredentials returns the failures that count.
func badCredentials() map[string]func(k *kit) request {
	with := func(secret func(k *kit) string) func(k *kit) request {
		return func(k *kit) request { return request{path: keysPath, key: secret(k)} }
	}
	return map[string]func(k *kit) request{
		"malformed": with(func(*kit) string { return "hunter2" }),
		"mistyped":  with(func(k *kit) string { return mistyped(k.admin.Secret) }),
		"unknown":   with(func(*kit) string { return apikey.NewSecret("ak", apikey.NewID()).Reveal() }),
		"another secret of a key": with(func(k *kit) string {
			secret, err := apikey.ParseSecret(k.admin.Secret)
			k.must(err)
			return apikey.NewSecret("ak", secret.ID()).Reveal()
		}),
		"revoked": with(func(k *kit) string {
			made := k.mustCreate(k.admin, fields{"name": "revoked"})
			k.revoke(k.admin, keyPath(made.ID)).want(200)
			return made.Secret
		}),
		"expired": with(func(k *kit) string {
			made := k.mustCreate(k.admin, fields{"name": "expired", "expires_at": k.in(time.Second)})
			k.clock.Advance(time.Second)
			return made.Secret
		}),
		"two different": func(k *kit) request {
			return request{path: keysPath, header: http.Header{"X-Api-Key": {k.admin.Secret, "hunter2"}}}
		},
		"basic, where it is taken": func(*kit) request {
			return request{method: "POST", path: "/v1/introspect", body: "token=x", header: http.Header{
				"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {basic("u", "hunter2")},
			}}
		},
		"a body that is not looked at": func(*kit) request {
			return request{method: "POST", path: keysPath, key: "hunter2", body: "nonsense"}
		},
	}
}

// Only failed authentication is counted and limited.
func TestFailuresThatDoNotCount(t *testing.T) {
	t.Parallel()
	k := newKit(t, withAuthLimit)
	reader := k.add("team", "reader", apikey.ScopeRead)
	for range 3 * most {
		k.do(request{path: keysPath}).refused(401, "CREDENTIAL_MISSING")
		k.create(reader, fields{}).refused(403, "INSUFFICIENT_SCOPE")
		k.get(k.admin, keyPath("nobody's")).want(404)
		k.do(request{method: "POST", path: verifyPath, key: k.admin.Secret, body: `{"key":"hunter2"}`}).want(200)
	}
	bad := request{path: keysPath, key: "hunter2"}
	for range most {
		k.do(bad).refused(401, "CREDENTIAL_INVALID")
	}
	k.do(bad).slowed(429, "12")
	k.do(request{path: keysPath}).refused(401, "CREDENTIAL_MISSING")
	k.create(reader, fields{}).refused(403, "INSUFFICIENT_SCOPE")
}

func TestFailuresAreNotSlowedDownUnlessAsked(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for range 100 {
		k.do(request{path: keysPath, key: "hunter2"}).refused(401, "CREDENTIAL_INVALID")
	}
}

// Clients can choose the lower half of an IPv6 address.
func TestFailuresByNetwork(t *testing.T) {
	t.Parallel()
	k := newKit(t, withAuthLimit, proxied)
	bad := request{path: keysPath, key: "hunter2"}
	for _, from := range []string{"2001:db8::1", "[2001:db8::2]", "[2001:db8::3]:80", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8::%x"} {
		k.do(forwarded(bad, from)).want(401)
	}
	k.do(forwarded(bad, "2001:db8::4")).slowed(429, "12")
	k.do(forwarded(bad, "2001:db8:0:1::1")).want(401)

	for _, from := range []string{"192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1:80", "192.0.2.1", "192.0.2.1"} {
		k.do(forwarded(bad, from)).want(401)
	}
	k.do(forwarded(bad, "::ffff:c000:201")).slowed(429, "12")
}

// Behind a gateway that is not trusted, all clients have the gateway's address.
func TestForwardAuthFailures(t *testing.T) {
	t.Parallel()
	bad, asks429 := request{path: forwardPath, key: "hunter2"}, request{path: forwardPath + "?rate_limited=429", key: "hunter2"}
	t.Run("of an unknown gateway", func(t *testing.T) {
		t.Parallel()
		k := newKit(t, withAuthLimit)
		for range 3 * most {
			k.do(forwarded(bad, "192.0.2.1")).refused(401, "CREDENTIAL_INVALID")
		}
		k.get(key{Secret: "hunter2"}, keysPath).refused(401, "CREDENTIAL_INVALID") // nor did they count
	})
	t.Run("of a trusted one", func(t *testing.T) {
		t.Parallel()
		k := newKit(t, withAuthLimit, proxied)
		for range 3 * most { // it does not report the clients' addresses
			k.do(bad).refused(401, "CREDENTIAL_INVALID")
			k.do(forwarded(bad, "unknown")).refused(401, "CREDENTIAL_INVALID")
		}
		for range most {
			k.do(forwarded(bad, "192.0.2.1")).refused(401, "CREDENTIAL_INVALID")
		}
		k.do(forwarded(bad, "192.0.2.1")).slowed(403, "12")
		k.do(forwarded(asks429, "192.0.2.1")).slowed(429, "12")
		k.do(forwarded(bad, "192.0.2.2")).want(401)
		k.do(forwarded(request{path: forwardPath}, "192.0.2.1")).refused(401, "CREDENTIAL_MISSING")
		k.do(forwarded(request{path: forwardPath, key: k.admin.Secret}, "192.0.2.1")).want(200)
		k.do(forwarded(request{path: keysPath, key: "hunter2"}, "192.0.2.1")).slowed(429, "12")
	})
}

func TestReportsAreSlowedDownByClient(t *testing.T) {
	t.Parallel()
	k := newKit(t, proxied)
	report := request{method: "POST", path: leaksPath, body: `{"key":"s"}`, foreign: true}
	for range 30 {
		k.do(forwarded(report, "192.0.2.1")).thanked()
	}
	k.do(forwarded(report, "192.0.2.1")).slowed(429, "2")
	k.do(forwarded(report, "192.0.2.2")).thanked()
}

// Malformed reports count like ineffective ones. A report that ends a secret still passes.
func TestMalformedReportsAreSlowedDown(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	leaked := k.mustCreate(k.admin, fields{"name": "leaked"})
	post := request{method: "POST", path: leaksPath}
	bad := []string{`{"key":"s"`, `{"key":1}`, `{"a":{}}`, `{"key":"` + strings.Repeat("a", 64<<10) + `"}`}
	for i := range 30 {
		if got := k.with(post, bad[i%len(bad)]).status; got != 400 && got != 413 {
			k.Errorf("report %d: status %d", i, got)
		}
	}
	for _, body := range append(bad, `{"key":"s"}`) {
		k.with(post, body).slowed(429, "2")
	}
	k.with(post, fields{"key": leaked.Secret}.json()).thanked()
}

// Log lines about refusals and changes have the client's address.
func TestLogNamesTheClient(t *testing.T) {
	t.Parallel()
	k := newKit(t, withAuthLimit, proxied)
	body := fields{"name": "a", "expires_at": k.in(time.Hour)}.json()
	made := k.do(forwarded(request{method: "POST", path: keysPath, key: k.admin.Secret, body: body, foreign: true}, "2001:db8::1")).want(201)
	refused := k.do(forwarded(request{path: keysPath, key: "hunter2"}, "2001:db8::1")).want(401)
	reported := k.do(forwarded(request{method: "POST", path: leaksPath, body: fields{"key": made.key().Secret}.json(), foreign: true}, "2001:db8::1")).want(202)
	for _, answer := range []response{made, refused, reported} {
		lines := k.logged(answer.header.Get("X-Request-Id"))
		if len(lines) != 1 || !strings.Contains(lines[0], "address=2001:db8::1") {
			k.Errorf("%s: logged %q", answer.request, lines)
		}
	}
}
