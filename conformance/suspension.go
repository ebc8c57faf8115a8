package conformance

import (
	"net/http"
	"reflect"

	"apikeyd/apikey"
)

func suspensionChecks() []check {
	const group = "suspension"
	return []check{
		{group, "refused", "a suspended key is refused at once, and works again once it is enabled", needWriteKey, suspension},
		{group, "precedence", "a suspended key is DISABLED, after REVOKED and before everything else", needWriteKey | needVerifyKey | needUnlimitedKey, disabled},
		{group, "reasons", "a revocation keeps its first reason", needWriteKey, keptReasons},
		{group, "filters", "enabled and revocation_reason find their keys", needWriteKey, suspensionFilters},
		{group, "invalid", "an invalid enabled or reason is refused", needWriteKey, badSuspensions},
	}
}

// suspend suspends a key or ends that, and returns the key.
func (s *session) suspend(key created, suspended bool, why string) map[string]any {
	return s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id,
		body: fields{"enabled": !suspended}.json(), why: why}).body
}

func suspension(s *session) {
	key := s.reader()
	s.accepted(key.id, key.secret, "before it is suspended")
	want := without(key.body, "secret")
	want["enabled"], want["status"] = false, "REVOKED"
	for _, why := range []string{"suspending a key", "suspending it again"} {
		s.same(why, s.suspend(key, true, why), want)
		s.rejected(key.id, key.secret, "after "+why)
		s.same("after "+why, s.get(key.id, "after "+why), want)
	}
	body := s.keyBody().with("name", key.name)
	s.want(http.StatusConflict, request{operation: "createApiKey", body: body.json(), why: "the name of a suspended key"})
	s.same("enabling a key", s.suspend(key, false, "enabling a key"), key.body)
	s.accepted(key.id, key.secret, "after it is enabled")

	born := s.create(s.keyBody().with("enabled", false).with("scopes", readScopes(s)))
	s.rejected(born.id, born.secret, "created suspended")
}

func disabled(s *session) {
	key := s.reader()
	s.verify("VALID", key.secret, "before it is suspended")
	s.suspend(key, true, "suspending a key")
	s.verify("DISABLED", key.secret, "suspended")
	s.verify("DISABLED", key.secret, "suspended, and a scope is lacking", unheldScope)
	s.want(http.StatusUnauthorized, request{operation: "forwardAuth", secret: key.secret, why: "suspended"})
	if a := s.introspect(key.secret, "suspended"); a.body["active"] != false {
		s.fail("%s: active is %v", a.about, a.body["active"])
	}
	s.suspend(key, false, "enabling a key")
	s.expire(key)
	s.suspend(key, true, "suspending an expired key")
	s.verify("DISABLED", key.secret, "suspended and expired")
	s.suspend(key, false, "enabling an expired key")
	s.verify("EXPIRED", key.secret, "enabled and expired")
	s.suspend(key, true, "suspending it again")
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id, why: "suspended"})
	s.verify("REVOKED", key.secret, "revoked and suspended")
	s.want(http.StatusConflict, request{operation: "updateApiKey", key: key.id,
		body: fields{"enabled": true}.json(), why: "enabling a revoked key"})
}

func keptReasons(s *session) {
	for _, reason := range append([]apikey.Reason{""}, apikey.Reasons()...) {
		key := s.create(s.keyBody())
		query, want := "reason="+string(reason), string(reason)
		if reason == "" {
			query, want = "", "unspecified"
		}
		first := s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id, query: query})
		again := s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id, query: "reason=policy", why: "again"})
		for _, a := range []answer{first, again} {
			if a.body["revocation_reason"] != want {
				s.fail("%s: the reason is %v, want %s", a.about, a.body["revocation_reason"], want)
			}
		}
		if !reflect.DeepEqual(first.body, again.body) {
			s.fail("%s: revoking again changed the key from %v to %v", again.about, first.body, again.body)
		}
	}
}

func suspensionFilters(s *session) {
	f := s.newFamily()
	for _, name := range []string{"active", "suspended", "revoked", "suspended, then revoked"} {
		f.add(name, nil)
	}
	for _, name := range []string{"suspended", "suspended, then revoked"} {
		s.suspend(f.keys[name], true, "suspending a key")
	}
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: f.keys["revoked"].id})
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: f.keys["suspended, then revoked"].id, query: "reason=owner_left"})
	f.wants("suspended keys", "&enabled=false"+f.query, "suspended")
	f.wants("other keys", "&enabled=true"+f.query, "active", "revoked", "suspended, then revoked")
	f.wants("REVOKED keys", "&status=REVOKED"+f.query, "suspended", "revoked", "suspended, then revoked")
	f.wants("ACTIVE keys", "&status=ACTIVE"+f.query, "active")
	f.wants("keys that were revoked without a reason", "&revocation_reason=unspecified"+f.query, "revoked")
	f.wants("keys whose owner left", "&revocation_reason=owner_left"+f.query, "suspended, then revoked")
	f.wants("compromised keys", "&revocation_reason=key_compromise"+f.query)
}

func badSuspensions(s *session) {
	key := s.create(s.keyBody())
	for why, value := range map[string]any{"null": nil, "a text": "false", "a number": 0, "a list": []bool{false}} {
		s.refuses("enabled", request{operation: "updateApiKey", key: key.id, body: fields{"enabled": value}.json(), why: why})
		s.refuses("enabled", request{operation: "createApiKey", body: s.keyBody().with("enabled", value).json(), why: why})
	}
	for _, query := range []string{"reason=", "reason=boredom", "reason=POLICY", "reason=policy&reason=policy"} {
		s.refuses("reason", request{operation: "revokeApiKey", key: key.id, query: query})
	}
	for _, query := range []string{"enabled=", "enabled=yes", "enabled=1", "enabled=FALSE"} {
		s.refuses("enabled", request{operation: "listApiKeys", query: query})
	}
	s.refuses("revocation_reason", request{operation: "listApiKeys", query: "revocation_reason=boredom"})
	if status := s.get(key.id, "after refused requests")["status"]; status != "ACTIVE" {
		s.fail("after refused requests the key is %v", status)
	}
}
