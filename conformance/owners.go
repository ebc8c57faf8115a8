package conformance

import (
	"net/http"
	"net/url"
	"reflect"

	"apikeyd/apikey"
)

func ownerChecks() []check {
	const group = "owners"
	return []check{
		{group, "stored", "an owner is changed, shown and listed", needAdminKey, keptOwner},
		{group, "suspended", "a suspended owner's keys are DISABLED and REVOKED at once, and work again once it is enabled", needAdminKey, suspendedOwner},
		{group, "max-keys", "an owner gets no more living keys than it may have", needAdminKey, maxKeys},
		{group, "networks", "an owner's networks narrow each key's own", needAdminKey, ownersNetworks},
		{group, "lock-out", "nobody bars its own owner from its own address", needAdminKey, ownersLockOut},
		{group, "quota", "an owner's quota bounds all its keys together", needAdminKey, ownersQuota},
		{group, "links", "a link opens the console for one owner, and gives no more than its creator may give", needWriteKey, ownerLink},
		{group, "authority", "a key sees its own owner alone, and only keys:admin changes one", needAdminKey, ownerAuthority},
	}
}

// newOwner returns the name of an owner that the run uses for one check, and what removes its settings.
func (s *session) newOwner() (name string, reset func()) {
	name = s.newName() + "-owner/%41"
	return name, func() {
		s.changeOwner(name, fields{"enabled": true, "max_keys": nil, "rate_limit": nil, "quota": nil, "metadata": fields{}, "allowed_cidrs": nil},
			"resetting the owner")
	}
}

func (s *session) changeOwner(name string, change fields, why string) map[string]any {
	return s.want(http.StatusOK, request{operation: "updateOwner", key: url.PathEscape(name), body: change.json(), why: why}).body
}

// keyOf creates a key of an owner without a limit of its own.
func (s *session) keyOf(owner string) created {
	return s.create(s.keyBody().with("owner", owner).with("scopes", readScopes(s)).with("rate_limit", nil).with("quota", nil))
}

func keptOwner(s *session) {
	name, reset := s.newOwner()
	get := request{operation: "getOwner", key: url.PathEscape(name)}
	s.want(http.StatusNotFound, get)
	s.want(http.StatusNotFound, request{operation: "updateOwner", key: get.key, body: "{}", why: "changing nothing of an unknown owner"})
	s.refuses("verbose", request{operation: "getOwner", key: get.key, query: "verbose=1"})
	for field, query := range map[string]string{"enabled": "enabled=yes", "cursor": "cursor=a", "items_per_page": "items_per_page=0", "search": "search="} {
		s.refuses(field, request{operation: "listOwners", query: query})
	}
	key := s.keyOf(name)
	want := map[string]any{"owner": name, "enabled": true, "metadata": map[string]any{},
		"keys": map[string]any{"active": 1.0, "expired": 0.0, "revoked": 0.0, "suspended": 0.0}}
	same := func(why string, got map[string]any) {
		delete(got, "quota_state")
		if !reflect.DeepEqual(got, want) {
			s.fail("%s: the owner is %v, want %v", why, got, want)
		}
	}
	same("from its first key on", s.want(http.StatusOK, get).body)
	defer reset()
	change := fields{"max_keys": 7, "rate_limit": fields{"limit": 9, "window_seconds": 60}, "quota": perMonth(100),
		"metadata": fields{"plan": "pro"}, "allowed_cidrs": []string{theirAddress, theirNetwork6}}
	want["allowed_cidrs"] = []any{theirAddress + "/32", theirNetwork6}
	want["max_keys"], want["metadata"] = 7.0, map[string]any{"plan": "pro"}
	want["rate_limit"] = map[string]any{"limit": 9.0, "window_seconds": 60.0}
	want["quota"] = map[string]any{"limit": 100.0, "period": "month", "starts_on": float64(perMonth(1)["starts_on"].(int))}
	same("changing everything", s.changeOwner(name, change, "everything"))
	same("changing nothing", s.changeOwner(name, fields{}, "nothing"))
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id})
	want["keys"] = map[string]any{"active": 0.0, "expired": 0.0, "revoked": 1.0, "suspended": 0.0}
	a := s.want(http.StatusOK, request{operation: "listOwners", query: "search=" + url.QueryEscape(name)})
	if list, _ := a.body["data"].([]any); len(list) != 1 {
		s.fail("%s: %d owners, want the one", a.about, len(list))
	} else {
		same("in a list", object(list[0]))
	}
	for _, limit := range []string{"max_keys", "rate_limit", "quota", "allowed_cidrs"} {
		delete(want, limit)
	}
	same("removing the limits", s.changeOwner(name, fields{"max_keys": nil, "rate_limit": nil, "quota": nil, "allowed_cidrs": nil}, "removing the limits"))
	for why, value := range map[string]any{"zero": 0, "a text": "7", "a fraction": 1.5} {
		s.refuses("max_keys", request{operation: "updateOwner", key: url.PathEscape(name), body: fields{"max_keys": value}.json(), why: why})
	}
}

func suspendedOwner(s *session) {
	name, reset := s.newOwner()
	key := s.keyOf(name)
	defer reset()
	s.verify("VALID", key.secret, "before its owner is suspended")
	// shows expects the key with a status of its own, and nothing else changed.
	shows := func(status string) {
		want, why := without(key.body, "secret"), "its owner was suspended or enabled"
		want["status"] = status
		s.same("getting it", without(s.get(key.id, why), "last_used_at"), want)
		s.same("changing nothing of it", without(s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: "{}", why: why}).body,
			"last_used_at"), want)
		for other, found := range map[string]int{"ACTIVE": 0, "REVOKED": 0, status: 1} {
			list := s.want(http.StatusOK, request{operation: "listApiKeys", query: "owner=" + url.QueryEscape(name) + "&status=" + other, why: why})
			data, _ := list.body["data"].([]any)
			if len(data) != found {
				s.fail("%s: %d keys are %s, want %d", list.about, len(data), other, found)
			}
			for _, one := range data {
				s.same(list.about, without(object(one), "last_used_at"), want)
			}
		}
	}
	for range 2 {
		s.changeOwner(name, fields{"enabled": false}, "suspending an owner")
		a := s.verify("DISABLED", key.secret, "its owner is suspended, and a scope is lacking", unheldScope)
		if shown := object(a.body["key"]); shown["status"] != "REVOKED" || shown["enabled"] != true {
			s.fail("%s: the key of a suspended owner is %v", a.about, shown)
		}
		shows("REVOKED")
		s.want(http.StatusUnauthorized, request{operation: "forwardAuth", secret: key.secret, why: "its owner is suspended"})
		s.want(http.StatusUnauthorized, request{operation: "getOwner", key: url.PathEscape(name), secret: key.secret, why: "its owner is suspended"})
		s.changeOwner(name, fields{"enabled": true}, "enabling an owner")
		s.verify("VALID", key.secret, "its owner is enabled again")
		shows("ACTIVE")
	}
}

func ownersNetworks(s *session) {
	name, reset := s.newOwner()
	key := s.keyOf(name)
	defer reset()
	for range 2 {
		s.verifyFrom(otherAddress, "VALID", key.secret, "before its owner has networks")
		s.changeOwner(name, fields{"allowed_cidrs": []string{theirNetwork}}, "networks of an owner")
		s.verifyFrom(theirAddress, "VALID", key.secret, "its owner has networks")
		s.verifyFrom(otherAddress, "ADDRESS_NOT_ALLOWED", key.secret, "its owner has networks")
		s.verify("ADDRESS_NOT_ALLOWED", key.secret, "its owner has networks, without client_address")
		s.allow(key, []string{otherAddress}, "networks that its owner's have nothing of")
		s.verifyFrom(theirAddress, "ADDRESS_NOT_ALLOWED", key.secret, "within its owner's networks, but not its own")
		s.verifyFrom(otherAddress, "ADDRESS_NOT_ALLOWED", key.secret, "within its own networks, but not its owner's")
		s.wantCode(http.StatusForbidden, "ADDRESS_NOT_ALLOWED", request{operation: "getOwner", key: url.PathEscape(name), secret: key.secret})
		s.allow(key, nil, "all networks")
		s.changeOwner(name, fields{"allowed_cidrs": nil}, "all networks of an owner")
	}
}

func ownersLockOut(s *session) {
	name, reset := s.newOwner()
	admin := s.create(s.keyBody().with("owner", name).with("scopes", []string{apikey.ScopeAdmin}))
	defer reset()
	for field, change := range map[string]fields{"enabled": {"enabled": false}, "allowed_cidrs": {"allowed_cidrs": []string{nobodysNetwork}}} {
		s.want(http.StatusForbidden, request{operation: "updateOwner", key: url.PathEscape(name), secret: admin.secret, body: change.json(),
			why: "its own owner's " + field})
	}
	s.want(http.StatusOK, request{operation: "getOwner", key: url.PathEscape(name), secret: admin.secret, why: "after refused changes"})
}

func maxKeys(s *session) {
	name, reset := s.newOwner()
	defer reset()
	s.changeOwner(name, fields{"max_keys": 1}, "one key")
	key := s.keyOf(name)
	second := request{operation: "createApiKey", body: s.keyBody().with("owner", name).json(), why: "a second key"}
	if a := s.want(http.StatusConflict, second); a.body["code"] != "TOO_MANY_KEYS" {
		s.fail("%s: code %v, want TOO_MANY_KEYS", a.about, a.body["code"])
	}
	s.want(http.StatusOK, request{operation: "rotateApiKey", key: key.id, body: "{}", why: "a rotation is no creation"})
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id})
	s.keyOf(name) // there is room again
}

func ownersQuota(s *session) {
	name, reset := s.newOwner()
	defer reset()
	s.changeOwner(name, fields{"quota": perMonth(5)}, "a quota")
	first, second := s.keyOf(name), s.keyOf(name)
	s.verifyCost("VALID", first.secret, 2, 3, "the first key")
	s.verifyCost("VALID", second.secret, 2, 1, "the second key")
	s.verifyCost("QUOTA_EXCEEDED", first.secret, 2, 1, "more than both may use")
	s.verifyCost("VALID", first.secret, 1, 0, "the rest")
	a := s.want(http.StatusOK, request{operation: "getOwner", key: url.PathEscape(name)})
	s.wantLeft(a.about, a.body["quota_state"], 0)
}

func ownerAuthority(s *session) {
	name, reset := s.newOwner()
	defer reset()
	own := s.create(s.keyBody().with("owner", name).with("scopes", []string{apikey.ScopeRead, apikey.ScopeWrite}))
	other := s.keyOf(s.newName())
	get := request{operation: "getOwner", key: url.PathEscape(name), secret: own.secret}
	s.want(http.StatusOK, get)
	get.secret, get.why = other.secret, "another owner's key"
	s.want(http.StatusForbidden, get)
	s.want(http.StatusForbidden, request{operation: "listOwners", secret: own.secret})
	s.want(http.StatusNotFound, request{operation: "createOwnerLink", key: "%20", body: fields{"scopes": []string{apikey.ScopeRead}}.json(),
		why: "for an owner that cannot be"})
	s.want(http.StatusForbidden, request{operation: "updateOwner", key: url.PathEscape(name), secret: own.secret,
		body: fields{"max_keys": 9}.json(), why: "without keys:admin"})
}
