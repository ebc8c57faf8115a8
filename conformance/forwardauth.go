package conformance

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"apikeyd/apikey"
)

// unheldScope is a scope that no key of a run has.
const unheldScope = "conformance:lost"

func forwardAuthChecks() []check {
	const group = "forward-auth"
	return []check{
		{group, "identity", "a valid key passes, with its identity in the headers", needNothing | needUnlimitedKey, identity},
		{group, "safe-identity", "identity headers are always set, safe, and never the client's own", needWriteKey | needUnlimitedKey, safeIdentity},
		{group, "any-request", "every method passes, with any query, body and path below", needNothing | needUnlimitedKey, anyRequest},
		{group, "scopes", "the key must have all scopes in the query, and an invalid one is refused", needNothing | needUnlimitedKey, forwardedScopes},
		{group, "credentials", "a request without a valid key is refused", needNothing | needUnlimitedKey, forwardedCredentials},
		{group, "ended-secrets", "an ended secret is refused at once", needWriteKey | needUnlimitedKey, endedSecrets},
	}
}

// safeValue matches percent-encoded values (RFC 3986: pchar), which are safe in header fields.
var safeValue = regexp.MustCompile(`^[A-Za-z0-9._~!$&'()*+,;=:@%-]*$`)

// wantIdentity checks the headers that identify the key, each of them once.
func (s *session) wantIdentity(a answer, id, name, owner string, scopes []string) {
	if a.status != http.StatusOK {
		return
	}
	for header, want := range map[string]string{
		"X-Api-Key-Id": id, "X-Api-Key-Name": name, "X-Api-Key-Owner": owner,
		"X-Api-Key-Scopes": strings.Join(scopes, " "),
	} {
		values := a.header.Values(header)
		if len(values) != 1 {
			s.fail("%s: %s is set %d times, want once", a.about, header, len(values))
			continue
		}
		got := values[0]
		if header == "X-Api-Key-Name" || header == "X-Api-Key-Owner" {
			if !safeValue.MatchString(got) {
				s.fail("%s: %s is not percent-encoded: %q", a.about, header, got)
			}
			decoded, err := url.PathUnescape(got)
			if err != nil {
				decoded = err.Error()
			}
			got = decoded
		}
		if got != want {
			s.fail("%s: %s is %q, want %q", a.about, header, values[0], want)
		}
	}
}

func identity(s *session) {
	a := s.want(http.StatusOK, request{operation: "forwardAuth"})
	s.wantIdentity(a, s.id, s.name, s.owner, s.scopes)
	a = s.want(http.StatusOK, request{operation: "forwardAuth", secret: noCredentials,
		header: http.Header{"Authorization": {"Bearer " + s.secret}}, why: "bearer token"})
	s.wantIdentity(a, s.id, s.name, s.owner, s.scopes)
}

func safeIdentity(s *session) {
	smuggled := http.Header{
		"X-Api-Key-Id": {"smuggled"}, "X-Api-Key-Name": {"smuggled"}, "X-Api-Key-Owner": {"smuggled"},
		"X-Api-Key-Scopes": {apikey.ScopeAdmin},
	}
	for i, ending := range []string{
		"", " b", "\"b\"", "%b", "%2Fb", "a%20b", "/b", "\\b", ",b", ";b", "+b", "=?utf-8?q?b?=", "ключ", "🙂", "e\u0301",
		"\u00e9", "b\u200d", "\u2028b",
	} {
		name, owner, scopes := s.newName()+ending, s.owner, []string{}
		if s.scopes.Has(apikey.ScopeAdmin) {
			owner = s.run + ending
		}
		if i%2 == 1 {
			scopes = []string{apikey.ScopeRead, apikey.ScopeWrite}
		}
		key := s.create(fields{"name": name, "owner": owner, "scopes": scopes, "expires_at": inAnHour()})
		a := s.want(http.StatusOK, request{operation: "forwardAuth", secret: key.secret, header: smuggled,
			why: "a key named " + name})
		s.wantIdentity(a, key.id, name, owner, scopes)
	}
}

func anyRequest(s *session) {
	requests := []request{
		{below: "/"}, {below: "/a"}, {below: "/a/b%2Fc/%20"}, {below: "/api-keys"},
		{query: "page=0&page=0&colour=red"}, {query: "%zz&=&;"}, {below: "/a", query: "x=1"},
		{header: http.Header{"Content-Type": {"text/plain"}, "X-Forwarded-Method": {"POST"}, "X-Forwarded-Uri": {"/x"}}},
	}
	if !s.readOnly {
		requests = append(requests, request{body: "{", why: "with a body"}, request{method: "POST", body: `{"a":1}`},
			request{method: "PUT", body: "a", header: http.Header{"Content-Type": nil}, below: "/a"})
		for _, method := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "NONSENSE"} {
			requests = append(requests, request{method: method}, request{method: method, below: "/a/b"})
		}
	}
	for _, r := range requests {
		r.operation = "forwardAuth"
		a := s.want(http.StatusOK, r)
		s.wantIdentity(a, s.id, s.name, s.owner, s.scopes)
	}
	if s.readOnly {
		return
	}
	for _, r := range []request{{method: "POST"}, {method: "HEAD"}, {method: "NONSENSE", below: "/a"}} {
		r.operation, r.secret, r.why = "forwardAuth", noCredentials, "no credentials"
		s.want(http.StatusUnauthorized, r)
	}
}

func forwardedScopes(s *session) {
	for _, query := range []string{
		"scope=keys:read", "scope=keys%3Aread", "scope=keys:read+keys:read", "scope=keys:read&scope=keys:read",
		"scope=%20keys:read%20", "xscope=" + unheldScope, "scope_id=" + unheldScope, "x=scope=" + unheldScope,
	} {
		s.want(http.StatusOK, request{operation: "forwardAuth", query: query})
	}
	for _, query := range []string{
		"scope=" + unheldScope, "scope=keys:read+" + unheldScope, "scope=keys:read&scope=" + unheldScope, "scope=" + unheldScope + "&scope=keys:read",
		"%73cope=" + unheldScope, "x=1&scope=" + unheldScope + "&y=2",
	} {
		s.wantCode(http.StatusForbidden, "INSUFFICIENT_SCOPE", request{operation: "forwardAuth", query: query})
	}
	for _, query := range []string{
		"scope=", "scope", "scope=%20", "scope=%zz", "scope=%22", "scope=keys:read&scope=", "scope=keys:read+%5C",
		"scope=%D1%8F", "scope=" + strings.Repeat("a", 129),
	} {
		s.want(http.StatusForbidden, request{operation: "forwardAuth", query: query, why: "a scope that is none"})
	}
	s.want(http.StatusBadRequest, request{operation: "forwardAuth", query: "scope=keys:read,keys:write", why: "a comma"})
	for _, query := range []string{
		"scopes=keys:read", "Scope=keys:read", "SCOPE=keys:read", "scope[]=keys:read", "scope%5B%5D=keys:read",
		"scope[0]=keys:read", "scope=keys:read&scopes=keys:read",
	} {
		s.want(http.StatusForbidden, request{operation: "forwardAuth", query: query, why: "scope misspelled"})
	}
}

func forwardedCredentials(s *session) {
	other := unknownSecret()
	for why, header := range map[string]http.Header{
		"no credentials":         nil,
		"an empty key":           {"X-Api-Key": {""}},
		"a key that is no key":   {"X-Api-Key": {"secret"}},
		"an unknown key":         {"X-Api-Key": {other}},
		"another scheme":         {"Authorization": {"Digest " + s.secret}},
		"HTTP Basic":             {"Authorization": {basic("x", s.secret)}},
		"two different keys":     {"X-Api-Key": {s.secret}, "Authorization": {"Bearer " + other}},
		"two in one header line": {"X-Api-Key": {s.secret + ", " + s.secret}},
	} {
		s.want(http.StatusUnauthorized, request{operation: "forwardAuth", secret: noCredentials, header: header, why: why})
	}
	s.want(http.StatusUnauthorized, request{operation: "forwardAuth", secret: noCredentials, query: "scope=" + unheldScope,
		why: "no credentials, and a scope asked for"})
}

func endedSecrets(s *session) {
	old := s.reader()
	forward := func(status int, secret, why string) {
		s.want(status, request{operation: "forwardAuth", secret: secret, why: why})
	}
	forward(http.StatusOK, old.secret, "a new key")
	key := s.rotate(old, `{"grace_seconds":600}`)
	forward(http.StatusOK, old.secret, "the old secret in its grace")
	forward(http.StatusOK, key.secret, "the new secret")
	key = s.rotate(key, "")
	forward(http.StatusUnauthorized, old.secret, "a secret that was rotated out")
	forward(http.StatusOK, key.secret, "the newest secret")
	key.at = old.at
	s.expire(key)
	forward(http.StatusUnauthorized, key.secret, "an expired key")
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id})
	forward(http.StatusUnauthorized, key.secret, "a revoked key")
}
