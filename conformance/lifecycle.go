package conformance

import (
	"net/http"
	"reflect"
	"strings"
	"time"

	"apikeyd/apikey"
)

func lifecycleChecks() []check {
	const group = "lifecycle"
	return []check{
		{group, "create", "a key is created with its secret, and found by id and by name", needWriteKey, creation},
		{group, "location", "Location leads to the new key, also below a path", needWriteKey, newLocation},
		{group, "new-key-works", "a new key works at once", needWriteKey, newKeyWorks},
		{group, "update", "an update changes only the fields that it names", needWriteKey, changes},
		{group, "revoke", "a revoked key is refused at once and does not change", needWriteKey, revocation},
		{group, "taken-name", "a name is taken until its key is revoked", needWriteKey, takenNames},
	}
}

func creation(s *session) {
	body := s.keyBody()
	key := s.create(body)
	if key.body["status"] != "ACTIVE" || key.body["name"] != body["name"] || key.body["owner"] != s.owner ||
		key.body["expires_at"] != body["expires_at"] {
		s.fail("the new key is not what was asked for: %v", without(key.body, "secret"))
	}
	if prefix, _ := key.body["prefix"].(string); prefix == "" || !strings.HasPrefix(key.secret, prefix) ||
		len(prefix) > len(key.secret)-38 {
		s.fail("prefix %q does not recognise the secret, or gives it away", prefix)
	}
	if _, ok := key.body["last_used_at"]; ok {
		s.fail("last_used_at is there before any use")
	}
	want := without(key.body, "secret")
	for _, name := range []string{key.id, key.name} {
		got := s.want(http.StatusOK, request{operation: "getApiKey", key: name})
		if !reflect.DeepEqual(got.body, want) {
			s.fail("%s: the key is %v, was created as %v", got.about, got.body, want)
		}
	}
}

// newLocation resolves Location as HTTP does (RFC 9110, section 10.2.2). The server sends a path, which
// a proxy must complete if it removes the beginning of paths.
func newLocation(s *session) {
	a := s.want(http.StatusCreated, request{operation: "createApiKey", body: s.keyBody().json()})
	key := s.remember(a)
	sent, path := a.header.Get("Location"), "/v1/api-keys/"+key.id
	to, err := s.location(a)
	want := s.base.String() + path
	switch {
	case sent == "" || err != nil:
		s.fail("%s: Location is %q, want %q%s", a.about, sent, path, a.suspect())
	case to.String() == want:
		s.want(http.StatusOK, request{operation: "getApiKey", key: key.id, why: "where Location leads"})
	case sent == path && s.base.Path != "":
		s.fail("%[1]s: Location leads to %[2]s, but the key is at %[3]s: the proxy that removes %[4]s from paths "+
			"must put it in front of Location (nginx: proxy_redirect / %[4]s/;)", a.about, to, want, s.base.Path)
	case strings.HasSuffix(to.Path, path):
		s.fail("%s: Location is %q and leads to %s, but the key is at %s: a proxy in front of the server seems to "+
			"have changed it%s", a.about, sent, to, want, a.marks())
	default:
		s.fail("%s: Location is %q, want %q", a.about, sent, path)
	}
}

func newKeyWorks(s *session) {
	if !s.scopes.Has(apikey.ScopeRead) {
		return
	}
	key := s.create(s.keyBody().with("scopes", []string{apikey.ScopeRead}))
	s.want(http.StatusOK, request{operation: "getApiKey", key: key.id, secret: key.secret, why: "with the new key"})
}

func changes(s *session) {
	key := s.create(s.keyBody())
	want := without(key.body, "secret")
	patch := func(why string, body fields) {
		got := s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: body.json(), why: why})
		if !reflect.DeepEqual(got.body, want) {
			s.fail("%s: the key is %v, want %v", got.about, got.body, want)
		}
		got = s.want(http.StatusOK, request{operation: "getApiKey", key: key.id, why: "after " + why})
		if !reflect.DeepEqual(got.body, want) {
			s.fail("%s: the key is %v, want %v", got.about, got.body, want)
		}
	}
	patch("no change", fields{})
	patch("its own name", fields{"name": key.name})
	want["name"] = s.newName()
	patch("another name", fields{"name": want["name"]})
	end := time.Now().Add(2 * time.Hour)
	want["expires_at"] = apikey.Timestamp(end).String()
	patch("another end", fields{"expires_at": end.In(time.FixedZone("", 2*60*60)).Format(time.RFC3339Nano)})
	want["scopes"] = []any{}
	patch("no scopes", fields{"scopes": []string{}})
	s.want(http.StatusNotFound, request{operation: "getApiKey", key: key.name, why: "its former name"})
}

func revocation(s *session) {
	key := s.create(s.keyBody().with("scopes", readScopes(s)))
	use := request{operation: "getApiKey", key: key.id, secret: key.secret, why: "with the revoked key"}
	if s.scopes.Has(apikey.ScopeRead) {
		// A cache of the key must drop it.
		before := use
		before.why = "with the key before it is revoked"
		s.want(http.StatusOK, before)
	}
	first := s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id})
	s.want(http.StatusUnauthorized, use)
	if first.body["status"] != "REVOKED" || first.body["revoked_at"] == nil {
		s.fail("%s: status %v, revoked_at %v", first.about, first.body["status"], first.body["revoked_at"])
	}
	again := s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id, why: "again"})
	if !reflect.DeepEqual(without(first.body, "last_used_at", "last_used_from"), without(again.body, "last_used_at", "last_used_from")) {
		s.fail("%s: revoking again changed the key from %v to %v", again.about, first.body, again.body)
	}
	s.want(http.StatusConflict, request{operation: "updateApiKey", key: key.id,
		body: fields{"name": s.newName()}.json(), why: "a revoked key"})
	s.want(http.StatusUnauthorized, use)
	got := s.want(http.StatusOK, request{operation: "getApiKey", key: key.id, why: "a revoked key"})
	if got.body["status"] != "REVOKED" {
		s.fail("%s: status %v", got.about, got.body["status"])
	}
}

// readScopes returns keys:read if our key can grant it.
func readScopes(s *session) []string {
	if s.scopes.Has(apikey.ScopeRead) {
		return []string{apikey.ScopeRead}
	}
	return []string{}
}

func takenNames(s *session) {
	first := s.create(s.keyBody())
	other := s.create(s.keyBody())
	body := s.keyBody().with("name", first.name)
	s.want(http.StatusConflict, request{operation: "createApiKey", body: body.json(), why: "a name that is taken"})
	s.want(http.StatusConflict, request{operation: "updateApiKey", key: other.id,
		body: fields{"name": first.name}.json(), why: "a name that is taken"})
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: first.name, why: "by name"})
	second := s.create(body)
	for _, tt := range []struct{ why, revoke, finds string }{
		{"two keys had the name", "", second.id},
		{"both are revoked", second.id, second.id},
	} {
		if tt.revoke != "" {
			s.want(http.StatusOK, request{operation: "revokeApiKey", key: tt.revoke})
		}
		got := s.want(http.StatusOK, request{operation: "getApiKey", key: first.name, why: tt.why})
		if got.body["id"] != tt.finds {
			s.fail("%s: found %v, want %s", got.about, got.body["id"], tt.finds)
		}
	}
}
