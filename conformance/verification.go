package conformance

import (
	"net/http"
	"strings"

	"apikeyd/apikey"
)

func verificationChecks() []check {
	const group = "verification"
	return []check{
		{group, "valid", "a valid key is VALID and returned", needWriteKey | needVerifyKey | needUnlimitedKey, validKeys},
		{group, "any-string", "any string may be verified, and an unknown one reveals nothing", needWriteKey | needVerifyKey, unknownStrings},
		{group, "precedence", "the code is the first that applies", needWriteKey | needVerifyKey | needUnlimitedKey, precedence},
		{group, "scopes", "the key must have all requested scopes", needWriteKey | needVerifyKey | needUnlimitedKey, scopesAskedFor},
		{group, "integrator-scopes", "keys:verify covers every owner, and keys:admin includes no scope of an integrator", needAdminKey, integratorScopes},
		{group, "invalid", "an invalid verification request is refused", needVerifyKey, badQuestions},
	}
}

// verify verifies a secret and checks the code.
func (s *session) verify(code, secret, why string, scopes ...string) answer {
	return s.verifyAs("", code, secret, why, scopes...)
}

// verifyAs is verify with another key's secret.
func (s *session) verifyAs(as, code, secret, why string, scopes ...string) answer {
	body := fields{"key": secret}
	if scopes != nil {
		body["scopes"] = scopes
	}
	return s.decision(as, code, body, why)
}

// decision makes a request to verify, with another key's secret unless as is empty, and checks the code.
func (s *session) decision(as, code string, body fields, why string) answer {
	a := s.want(http.StatusOK, request{operation: "verifyApiKey", secret: as, body: body.json(), why: why})
	if a.status != http.StatusOK {
		return a
	}
	if a.body["code"] != code || a.body["valid"] != (code == "VALID") {
		s.fail("%s: code %v, valid %v, want %s", a.about, a.body["code"], a.body["valid"], code)
	}
	if (a.body["key"] == nil) != (code == "NOT_FOUND") {
		s.fail("%s: code %v, and the key in the answer is %v", a.about, a.body["code"], a.body["key"])
	}
	if (a.body["retry_after_seconds"] == nil) != (code != "RATE_LIMITED" && code != "QUOTA_EXCEEDED") {
		s.fail("%s: code %v, and retry_after_seconds is %v", a.about, a.body["code"], a.body["retry_after_seconds"])
	}
	return a
}

func validKeys(s *session) {
	key := s.reader()
	a := s.verify("VALID", key.secret, "a new key")
	s.same(a.about, object(a.body["key"]), key.body)
	rotated := s.rotate(key, `{"grace_seconds":600}`)
	for why, secret := range map[string]string{"the old secret in its grace": key.secret, "the new secret": rotated.secret} {
		a = s.verify("VALID", secret, why)
		s.same(a.about, object(a.body["key"]), rotated.body)
	}
}

func unknownStrings(s *session) {
	key := s.reader()
	text := key.secret
	for why, asked := range map[string]string{
		"empty":                             "",
		"one letter":                        "x",
		"not ASCII":                         "ключ 🙂",
		"a line break and NUL":              "a\nb\x00",
		"the id of a key":                   key.id,
		"the name of a key":                 key.name,
		"another secret of the same key":    anotherSecret(text),
		"a secret of no key":                unknownSecret(),
		"cut short":                         text[:len(text)-1],
		"one character more":                text + "0",
		"with a space in front":             " " + text,
		"with Bearer in front":              "Bearer " + text,
		"without its prefix":                text[strings.LastIndexByte(text, '_')+1:],
		"in capitals":                       strings.ToUpper(text),
		"as long as a body may be, or less": strings.Repeat("x", 60_000),
	} {
		s.verify("NOT_FOUND", asked, why)
	}
	s.rotate(key, "")
	s.verify("NOT_FOUND", key.secret, "a secret that was rotated out")
}

func precedence(s *session) {
	old := s.reader()
	key := s.rotate(old, "")
	key.at = old.at

	s.verify("INSUFFICIENT_SCOPE", key.secret, "a scope is lacking", unheldScope)
	s.verify("NOT_FOUND", old.secret, "rotated out, and a scope is lacking", unheldScope)
	s.expire(key)
	s.verify("EXPIRED", key.secret, "expired")
	s.verify("EXPIRED", key.secret, "expired, and a scope is lacking", unheldScope)
	s.verify("NOT_FOUND", old.secret, "expired and rotated out")
	s.rejected(key.id, key.secret, "with the secret of an expired key")

	a := s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id,
		body: fields{"expires_at": inAnHour()}.json(), why: "prolonging an expired key"})
	if a.body["status"] != "ACTIVE" {
		s.fail("%s: status %v, want ACTIVE", a.about, a.body["status"])
	}
	s.verify("VALID", key.secret, "prolonged")
	key.body, key.at = a.body, old.at
	s.expire(key)
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id})
	s.verify("REVOKED", key.secret, "revoked and expired")
	s.verify("REVOKED", key.secret, "revoked and expired, and a scope is lacking", unheldScope)
	s.verify("NOT_FOUND", old.secret, "revoked and rotated out")
}

func scopesAskedFor(s *session) {
	key := s.create(s.keyBody().with("scopes", []string{apikey.ScopeRead, apikey.ScopeWrite}))
	for why, tt := range map[string]struct {
		code   string
		scopes []string
	}{
		"none asked for":             {"VALID", []string{}},
		"one that is held":           {"VALID", []string{apikey.ScopeWrite}},
		"all that are held":          {"VALID", []string{apikey.ScopeWrite, apikey.ScopeRead}},
		"one that is lacking":        {"INSUFFICIENT_SCOPE", []string{"datasets:read"}},
		"one of two is lacking":      {"INSUFFICIENT_SCOPE", []string{apikey.ScopeRead, "datasets:read"}},
		"more rights here":           {"INSUFFICIENT_SCOPE", []string{apikey.ScopeAdmin}},
		"the beginning of one":       {"INSUFFICIENT_SCOPE", []string{"k"}},
		"one that is held, in words": {"INSUFFICIENT_SCOPE", []string{"Keys:Read"}},
	} {
		a := s.verify(tt.code, key.secret, why, tt.scopes...)
		s.same(a.about, object(a.body["key"]), key.body)
	}
}

func integratorScopes(s *session) {
	verifier := s.create(s.keyBody().with("owner", s.run).with("scopes", []string{apikey.ScopeVerify}))
	admin := s.create(s.keyBody().with("owner", s.run+"-other").with("scopes", []string{apikey.ScopeAdmin}).
		with("rate_limit", nil).with("quota", nil))
	user := s.create(s.keyBody().with("owner", s.run+"-other").with("rate_limit", nil).with("quota", nil).
		with("scopes", []string{"datasets:read", "datasets:write"}))
	s.verifyAs(verifier.secret, "VALID", user.secret, "another owner's key", "datasets:write", "datasets:read")
	s.verifyAs(verifier.secret, "INSUFFICIENT_SCOPE", user.secret, "another owner's key", "datasets:read", "datasets:delete")
	s.verifyAs(admin.secret, "VALID", user.secret, "asked by keys:admin", "datasets:read")
	s.verify("VALID", admin.secret, "the scopes of this service", apikey.ScopeRead, apikey.ScopeWrite,
		apikey.ScopeVerify, apikey.ScopeAdmin)
	s.verify("INSUFFICIENT_SCOPE", admin.secret, "a scope of an integrator", "datasets:read")
	s.want(http.StatusForbidden, request{operation: "listApiKeys", secret: verifier.secret, why: "with keys:verify alone"})
}

func badQuestions(s *session) {
	for why, tt := range map[string]struct {
		field string
		body  fields
	}{
		"no key":              {"key", fields{}},
		"key is null":         {"key", fields{"key": nil}},
		"key is a number":     {"key", fields{"key": 1}},
		"an unknown property": {"secret", fields{"key": "x", "secret": "x"}},
		"scopes is a string":  {"scopes", fields{"key": "x", "scopes": "keys:read"}},
		"scopes is null":      {"scopes", fields{"key": "x", "scopes": nil}},
		"a scope is empty":    {"scopes", fields{"key": "x", "scopes": []string{""}}},
		"a scope has a space": {"scopes", fields{"key": "x", "scopes": []string{"a b"}}},
		"a scope comes twice": {"scopes", fields{"key": "x", "scopes": []string{"a", "a"}}},
	} {
		s.refuses(tt.field, request{operation: "verifyApiKey", body: tt.body.json(), why: why})
	}
	s.refuses("body", request{operation: "verifyApiKey", body: `{"key":"a","key":"b"}`, why: "the key twice"})
	s.refuses("Content-Type", request{operation: "verifyApiKey", body: "key=x",
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, why: "a form"})
	s.refuses("key", request{operation: "verifyApiKey", body: `{"key":"x"}`, query: "key=x"})
	s.want(http.StatusRequestEntityTooLarge, request{operation: "verifyApiKey",
		body: fields{"key": strings.Repeat("x", maxBody)}.json(), why: "more than 64 KiB"})
}
