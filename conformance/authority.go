package conformance

import (
	"net/http"
	"net/url"

	"apikeyd/apikey"
)

func authorityChecks() []check {
	const group = "authority"
	return []check{
		{group, "inherited-scopes", "a key created without scopes inherits keys:read and keys:write", needWriteKey, inheritedScopes},
		{group, "granting", "a key cannot grant a scope that it lacks", needAdminKey, noGranting},
		{group, "takeover", "a key cannot change, rotate or revoke one with more scopes", needAdminKey, noTakeover},
		{group, "owners", "another owner's keys are not found", needAdminKey, owners},
	}
}

func inheritedScopes(s *session) {
	key := s.create(s.keyBody())
	got := list(key.body["scopes"])
	want := s.scopes.Inherited()
	same := len(got) == len(want)
	for i := range want {
		same = same && got[i] == want[i]
	}
	if !same {
		s.fail("the new key has the scopes %v, want %v", got, want)
	}
}

// writer creates a key that may write, with an owner of this run.
func (s *session) writer() created {
	return s.create(s.keyBody().with("owner", s.run).with("scopes", []string{apikey.ScopeRead, apikey.ScopeWrite}))
}

func noGranting(s *session) {
	writer := s.writer()
	child := s.createAs(writer.secret, s.keyBody())
	if child.body["owner"] != s.run {
		s.fail("the child of a key of %s belongs to %v", s.run, child.body["owner"])
	}
	for _, scope := range []string{apikey.ScopeAdmin, apikey.ScopeVerify, "datasets:read"} {
		scopes := []string{apikey.ScopeRead, scope}
		s.want(http.StatusForbidden, request{operation: "createApiKey", secret: writer.secret,
			body: s.keyBody().with("scopes", scopes).json(), why: "granting " + scope})
		for _, key := range []created{child, writer} {
			s.want(http.StatusForbidden, request{operation: "updateApiKey", secret: writer.secret, key: key.id,
				body: fields{"scopes": scopes}.json(), why: "granting " + scope})
		}
	}
	s.want(http.StatusForbidden, request{operation: "createApiKey", secret: writer.secret,
		body: s.keyBody().with("owner", s.run+"-other").json(), why: "for another owner"})
}

func noTakeover(s *session) {
	writer := s.writer()
	for _, scope := range []string{apikey.ScopeAdmin, "datasets:read"} {
		target := s.create(s.keyBody().with("owner", s.run).with("scopes", []string{scope}).with("rate_limit", nil).with("quota", nil))
		for why, body := range map[string]fields{
			"renaming": {"name": s.newName()}, "prolonging": {"expires_at": inAnHour()},
			"lowering": {"scopes": []string{}}, "touching": {},
		} {
			s.want(http.StatusForbidden, request{operation: "updateApiKey", secret: writer.secret, key: target.id,
				body: body.json(), why: why + " a key with " + scope})
		}
		s.want(http.StatusForbidden, request{operation: "revokeApiKey", secret: writer.secret, key: target.id,
			why: "revoking a key with " + scope})
		s.want(http.StatusForbidden, request{operation: "rotateApiKey", secret: writer.secret, key: target.id,
			why: "rotating a key with " + scope})
		s.want(http.StatusOK, request{operation: "forwardAuth", secret: target.secret, why: "after refused changes"})
		got := s.want(http.StatusOK, request{operation: "getApiKey", key: target.id})
		if got.body["status"] != "ACTIVE" || got.body["name"] != target.name {
			s.fail("%s: the key was changed to %v", got.about, got.body)
		}
	}
}

func owners(s *session) {
	writer := s.writer()
	stranger := s.create(s.keyBody().with("owner", s.run+"-other").with("scopes", []string{}))
	for _, name := range []string{stranger.id, stranger.name} {
		for _, r := range []request{
			{operation: "getApiKey"}, {operation: "revokeApiKey"}, {operation: "updateApiKey", body: "{}"},
			{operation: "rotateApiKey"}, {operation: "getApiKeyUsage"}, {operation: "getApiKeyHistory"}, {operation: "getApiKeyReview"},
		} {
			r.key, r.secret, r.why = name, writer.secret, "another owner's key"
			s.want(http.StatusNotFound, r)
			r.query = "owner=" + url.QueryEscape(s.run+"-other")
			s.want(http.StatusForbidden, r)
		}
	}
	s.want(http.StatusForbidden, request{operation: "listApiKeys", secret: writer.secret,
		query: "owner=" + url.QueryEscape(s.run+"-other"), why: "another owner's keys"})
	for _, operation := range []string{"getSummary", "getUsage"} {
		s.want(http.StatusForbidden, request{operation: operation, secret: writer.secret,
			query: "owner=" + url.QueryEscape(s.run+"-other"), why: "another owner's numbers"})
	}
	s.want(http.StatusOK, request{operation: "listApiKeys", secret: writer.secret,
		query: "owner=" + url.QueryEscape(s.run), why: "its own owner, by name"})
	s.want(http.StatusNotFound, request{operation: "getApiKey", key: stranger.name, why: "an admin, by name alone"})
	s.want(http.StatusOK, request{operation: "getApiKey", key: stranger.name,
		query: "owner=" + url.QueryEscape(s.run+"-other"), why: "an admin, by name and owner"})
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: stranger.id, why: "an admin, by id"})
}
