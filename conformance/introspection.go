package conformance

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"apikeyd/apikey"
)

func introspectionChecks() []check {
	const group = "introspection"
	return []check{
		{group, "active", "a valid token is active and described", needWriteKey | needVerifyKey, activeTokens},
		{group, "inactive", "an invalid token is inactive, without further details", needWriteKey | needVerifyKey, inactiveTokens},
		{group, "credentials", "credentials may be a bearer token, x-api-key or HTTP Basic", needVerifyKey, introspectors},
		{group, "invalid", "the request is a form without repeated parameters", needVerifyKey, badForms},
	}
}

// basic returns the Authorization header of HTTP Basic (RFC 7617).
func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// introspect asks about a token.
func (s *session) introspect(token, why string) answer {
	return s.want(http.StatusOK, request{operation: "introspectToken", body: url.Values{"token": {token}}.Encode(), why: why})
}

func activeTokens(s *session) {
	for _, scopes := range [][]string{{}, {apikey.ScopeRead}, {apikey.ScopeWrite, apikey.ScopeRead}} {
		key := s.create(s.keyBody().with("name", s.newName()+" \"ключ\"").with("scopes", scopes))
		s.wantActive(s.introspect(key.secret, "a new key"), key.body, "expires_at")
		rotated := s.rotate(key, `{"grace_seconds":600}`)
		s.wantActive(s.introspect(rotated.secret, "the new secret"), rotated.body, "expires_at")
		s.wantActive(s.introspect(key.secret, "the old secret in its grace"), rotated.body, "grace_ends_at")
	}
}

// wantActive checks the description of an active token. end is the property with its end.
func (s *session) wantActive(a answer, key map[string]any, end string) {
	if a.status != http.StatusOK {
		return
	}
	var scopes []string
	for _, scope := range list(key["scopes"]) {
		scopes = append(scopes, text(scope))
	}
	want := map[string]any{
		"active": true, "scope": strings.Join(scopes, " "), "sub": key["owner"], "client_id": key["id"],
		"username": key["name"], "iat": float64(stamp(key["created_at"]).Unix()), "exp": float64(stamp(key[end]).Unix()),
	}
	if !reflect.DeepEqual(a.body, want) {
		s.fail("%s: answered %v, want %v", a.about, a.body, want)
	}
}

func inactiveTokens(s *session) {
	old := s.reader()
	key := s.rotate(old, "")
	inactive := func(token, why string) {
		a := s.introspect(token, why)
		if a.status == http.StatusOK && (a.body["active"] != false || len(a.body) != 1) {
			s.fail("%s: answered %v, want active false and nothing else", a.about, a.body)
		}
	}
	for why, token := range map[string]string{
		"one letter": "x", "a space": " ", "not ASCII": "ключ", "a secret of no key": unknownSecret(),
		"cut short": key.secret[1:], "the id of a key": key.id, "a secret that was rotated out": old.secret,
	} {
		inactive(token, why)
	}
	key.at = old.at
	s.expire(key)
	inactive(key.secret, "an expired key")
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id})
	inactive(key.secret, "a revoked key")
}

func introspectors(s *session) {
	const form = "token=x"
	other := unknownSecret()
	for why, tt := range map[string]struct {
		header http.Header
		status int
	}{
		"bearer token":             {http.Header{"Authorization": {"Bearer " + s.secret}}, http.StatusOK},
		"basic":                    {http.Header{"Authorization": {basic("anybody", s.secret)}}, http.StatusOK},
		"basic without a user":     {http.Header{"Authorization": {basic("", s.secret)}}, http.StatusOK},
		"basic, percent-encoded":   {http.Header{"Authorization": {basic("a%3Ab", "%"+hex(s.secret[0])+s.secret[1:])}}, http.StatusOK},
		"the same key twice":       {http.Header{"Authorization": {basic("x", s.secret)}, "X-Api-Key": {s.secret}}, http.StatusOK},
		"basic with a wrong key":   {http.Header{"Authorization": {basic("x", other)}}, http.StatusUnauthorized},
		"basic without a password": {http.Header{"Authorization": {basic(s.secret, "")}}, http.StatusUnauthorized},
		"basic and another key":    {http.Header{"Authorization": {basic("x", s.secret)}, "X-Api-Key": {other}}, http.StatusUnauthorized},
		"another scheme":           {http.Header{"Authorization": {"Digest " + s.secret}}, http.StatusUnauthorized},
	} {
		a := s.want(tt.status, request{operation: "introspectToken", secret: noCredentials, header: tt.header, body: form, why: why})
		if tt.status == http.StatusUnauthorized && !slices.ContainsFunc(a.header.Values("WWW-Authenticate"),
			func(value string) bool { return strings.HasPrefix(value, "Basic ") }) {
			s.fail("%s: no challenge for HTTP Basic: %q", a.about, a.header.Values("WWW-Authenticate"))
		}
	}
	s.want(http.StatusUnauthorized, request{operation: "verifyApiKey", secret: noCredentials, body: `{"key":"x"}`,
		header: http.Header{"Authorization": {basic("x", s.secret)}}, why: "basic, which only introspection takes"})
}

func hex(c byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{digits[c>>4], digits[c&15]})
}

func badForms(s *session) {
	for why, form := range map[string]string{
		"a hint":                  "token=x&token_type_hint=access_token",
		"unknown parameters":      "token=x&colour=red&client_id=a&client_secret=b",
		"an unknown one, emptied": "colour=&token=x",
	} {
		s.want(http.StatusOK, request{operation: "introspectToken", body: form, why: why})
	}
	for why, tt := range map[string]struct{ field, form string }{
		"no token":              {"token", "token_type_hint=access_token"},
		"an empty token":        {"token", "token="},
		"the token twice":       {"token", "token=x&token=x"},
		"two tokens":            {"token", "token=x&token=y"},
		"the hint twice":        {"token_type_hint", "token=x&token_type_hint=a&token_type_hint=a"},
		"broken encoding":       {"body", "token=%zz"},
		"a semicolon":           {"body", "token=x;token=y"},
		"JSON that is no form":  {"token", `{"token":"x"}`},
		"the token in capitals": {"token", "TOKEN=x"},
	} {
		s.refuses(tt.field, request{operation: "introspectToken", body: tt.form, why: why})
	}
	s.refuses("Content-Type", request{operation: "introspectToken", body: `{"token":"x"}`,
		header: http.Header{"Content-Type": {"application/json"}}, why: "JSON"})
	s.refuses("token", request{operation: "introspectToken", body: "token=x", query: "token=x"})
	s.want(http.StatusRequestEntityTooLarge, request{operation: "introspectToken",
		body: "token=" + strings.Repeat("x", maxBody), why: "more than 64 KiB"})
}
