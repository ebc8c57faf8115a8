package conformance

import (
	"net/http"
	"reflect"
)

func reviewChecks() []check {
	return []check{
		{"review", "narrower", "a review proposes what the key used, and a PATCH of that narrows it", needWriteKey | needVerifyKey | needUnlimitedKey, reviews},
	}
}

func reviews(s *session) {
	own := "datasets:read"
	key := s.create(s.keyBody().with("scopes", append(readScopes(s), own)))
	review := func(why string) map[string]any {
		return s.want(http.StatusOK, request{operation: "getApiKeyReview", key: key.id, why: why}).body
	}
	want := func(why string, body map[string]any, name string, want any) {
		if !reflect.DeepEqual(body[name], want) {
			s.fail("%s: %s is %v, want %v", why, name, body[name], want)
		}
	}
	unused := review("of a new key")
	want("of a new key", unused, "networks", []any{})
	want("of a new key", unused, "proposal", nil)

	call := fields{"key": key.secret, "scopes": []string{own}, "client_address": "192.0.2.7"}
	s.want(http.StatusOK, request{operation: "verifyApiKey", body: call.json()})
	s.want(http.StatusOK, request{operation: "verifyApiKey", why: "for a scope that it lacks",
		body: call.with("scopes", []string{"datasets:write"}).with("client_address", "198.51.100.7").json()})
	used := review("of a key that was used")
	for _, entry := range list(used["scopes"]) {
		scope := object(entry)
		if _, asked := scope["last_asked_on"]; asked != (scope["scope"] == own) {
			s.fail("the scope %v was asked for on %v", scope["scope"], scope["last_asked_on"])
		}
	}
	networks := list(used["networks"])
	if len(networks) != 1 || object(networks[0])["network"] != "192.0.2.0/24" {
		s.fail("it was used from %v, want 192.0.2.0/24", used["networks"])
	}
	proposal := fields{"allowed_cidrs": []any{"192.0.2.0/24"}}
	if len(readScopes(s)) > 0 {
		proposal["scopes"] = []any{own}
	}
	want("of a key that was used", used, "proposal", map[string]any(proposal))
	s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: proposal.json(), why: "as proposed"})
	want("of the narrower key", review("of the narrower key"), "proposal", nil)
	s.refuses("days", request{operation: "getApiKeyReview", key: key.id, query: "days=7"})
}
