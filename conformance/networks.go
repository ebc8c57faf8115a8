package conformance

import (
	"net/http"
	"net/url"
	"reflect"
)

// Addresses for documentation (RFC 5737, RFC 3849).
const (
	theirNetwork   = "192.0.2.0/24"
	theirAddress   = "192.0.2.7"
	otherAddress   = "198.51.100.1"
	theirNetwork6  = "2001:db8::/32"
	nobodysNetwork = "2001:db8:ffff::/48" // from which nobody calls
)

func networkChecks() []check {
	const group = "networks"
	return []check{
		{group, "kept", "a key's networks are kept, replaced and removed", needWriteKey | needUnlimitedKey, keptNetworks},
		{group, "decisions", "a key is ADDRESS_NOT_ALLOWED outside its networks", needWriteKey | needVerifyKey | needUnlimitedKey, networkDecisions},
		{group, "calls", "a key that may not be used from here is refused", needWriteKey | needUnlimitedKey, networkCalls},
		{group, "observed", "use from outside the observed networks passes, and is in the audit log", needAdminKey | needVerifyKey | needUnlimitedKey, observedNetworks},
		{group, "invalid", "invalid networks and addresses are refused", needWriteKey | needVerifyKey | needUnlimitedKey, badNetworks},
	}
}

// verifyFrom asks about a call from an address.
func (s *session) verifyFrom(address, code, secret, why string, scopes ...string) {
	body := fields{"key": secret, "client_address": address}
	if scopes != nil {
		body["scopes"] = scopes
	}
	s.decision("", code, body, why+", from "+address)
}

// allow changes a key's networks, and returns the key.
func (s *session) allow(key created, networks any, why string) map[string]any {
	return s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: fields{"allowed_cidrs": networks}.json(), why: why}).body
}

func keptNetworks(s *session) {
	key := s.create(s.keyBody().with("allowed_cidrs", []string{theirAddress, "::ffff:198.51.100.0/120", "2001:DB8:0::/32"}).
		with("observe_cidrs", []string{theirNetwork}))
	wants := func(about string, body map[string]any, allowed, observed any) {
		for field, want := range map[string]any{"allowed_cidrs": allowed, "observe_cidrs": observed} {
			if !reflect.DeepEqual(body[field], want) {
				s.fail("%s: %s is %v, want %v", about, field, body[field], want)
			}
		}
	}
	all := []any{"192.0.2.7/32", "198.51.100.0/24", theirNetwork6}
	observed := []any{theirNetwork}
	wants("a new key", key.body, all, observed)
	wants("getting it", s.get(key.id, "with networks"), all, observed)
	renamed := s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: fields{"name": s.newName()}.json()})
	wants("renaming it", renamed.body, all, observed)
	wants("rotating it", s.rotate(key, "").body, all, observed)
	wants("replacing its networks", s.allow(key, []string{theirNetwork}, "replaced"), []any{theirNetwork}, observed)
	for _, none := range []any{[]string{}, nil} {
		s.allow(key, []string{theirNetwork}, "replaced")
		wants("removing its networks", s.allow(key, none, "removed"), nil, observed)
	}
	wants("removing what is observed", s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id,
		body: fields{"observe_cidrs": nil}.json()}).body, nil, nil)
}

func networkDecisions(s *session) {
	key := s.create(s.keyBody().with("scopes", readScopes(s)).with("allowed_cidrs", []string{theirNetwork, theirNetwork6}))
	for address, code := range map[string]string{
		theirAddress: "VALID", "192.0.2.0": "VALID", "192.0.2.255:443": "VALID", "::ffff:192.0.2.7": "VALID", "2001:db8::7": "VALID",
		"[2001:db8::7]:443": "VALID", otherAddress: "ADDRESS_NOT_ALLOWED", "192.0.3.0": "ADDRESS_NOT_ALLOWED", "2001:db9::": "ADDRESS_NOT_ALLOWED",
		"::192.0.2.7": "ADDRESS_NOT_ALLOWED", "0.0.0.0": "ADDRESS_NOT_ALLOWED",
	} {
		s.verifyFrom(address, code, key.secret, "a key with networks")
		a := s.want(http.StatusOK, request{operation: "introspectToken",
			body: url.Values{"token": {key.secret}, "client_address": {address}}.Encode(), why: "from " + address})
		if a.body["active"] != (code == "VALID") {
			s.fail("%s: active is %v, but verify says %s", a.about, a.body["active"], code)
		}
	}
	s.verify("ADDRESS_NOT_ALLOWED", key.secret, "without client_address")
	if a := s.introspect(key.secret, "without client_address"); a.body["active"] != false {
		s.fail("%s: active is %v", a.about, a.body["active"])
	}
	s.verifyFrom(otherAddress, "ADDRESS_NOT_ALLOWED", key.secret, "a scope is lacking", unheldScope)
	s.verifyFrom(theirAddress, "INSUFFICIENT_SCOPE", key.secret, "a scope is lacking", unheldScope)
	s.allow(key, []string{otherAddress}, "other networks")
	s.verifyFrom(theirAddress, "ADDRESS_NOT_ALLOWED", key.secret, "other networks")
	s.verifyFrom(otherAddress, "VALID", key.secret, "other networks")
	s.suspend(key, true, "suspending a key")
	s.verifyFrom(theirAddress, "DISABLED", key.secret, "suspended")
	s.suspend(key, false, "enabling a key")
	s.allow(key, nil, "all networks")
	s.verify("VALID", key.secret, "all networks, and no client_address")
	s.allow(key, []string{theirNetwork}, "one network again")
	s.expire(key)
	s.verifyFrom(otherAddress, "EXPIRED", key.secret, "expired")
}

func networkCalls(s *session) {
	key := s.reader()
	s.accepted(key.id, key.secret, "without networks")
	s.allow(key, []string{nobodysNetwork}, "networks of nobody")
	const why = "from outside its networks"
	s.wantCode(http.StatusForbidden, "ADDRESS_NOT_ALLOWED", request{operation: "getApiKey", key: key.id, secret: key.secret, why: why})
	s.wantCode(http.StatusForbidden, "ADDRESS_NOT_ALLOWED", request{operation: "forwardAuth", secret: key.secret, why: why})
	s.allow(key, nil, "all networks")
	s.accepted(key.id, key.secret, "with all networks again")
}

func observedNetworks(s *session) {
	key := s.create(s.keyBody().with("observe_cidrs", []string{theirNetwork}))
	s.verifyFrom(theirAddress, "VALID", key.secret, "within the observed networks")
	for range 2 {
		s.verifyFrom(otherAddress, "VALID", key.secret, "outside the observed networks")
	}
	events := s.reported("outside", key)
	if len(events) != 1 || events[0]["address"] != otherAddress || events[0]["actor"] != key.id {
		s.fail("two uses from %s made %d events in 5 s, want 1: %v", otherAddress, len(events), events)
	}
}

func badNetworks(s *session) {
	key := s.create(s.keyBody())
	many := make([]string, 33)
	for i := range many {
		many[i] = sprintf("10.%d.0.0/16", i)
	}
	for why, value := range map[string]any{
		"a text": theirNetwork, "an object": fields{}, "numbers": []int{1}, "null in a list": []any{nil}, "an empty text": []string{""},
		"a name": []string{"localhost"}, "host bits": []string{"192.0.2.7/24"}, "too long a prefix": []string{"192.0.2.0/33"},
		"a port": []string{"192.0.2.7:443"}, "a zone": []string{"fe80::1%eth0"}, "the same twice": []string{theirAddress, theirAddress + "/32"}, "33": many,
	} {
		for _, field := range []string{"allowed_cidrs", "observe_cidrs"} {
			s.refuses(field, request{operation: "updateApiKey", key: key.id, body: fields{field: value}.json(), why: why})
			s.refuses(field, request{operation: "createApiKey", body: s.keyBody().with(field, value).json(), why: why})
		}
	}
	for _, address := range []any{"", "unknown", "192.0.2", theirNetwork, theirAddress + ", " + otherAddress, "[192.0.2.7]", nil, 1, []string{theirAddress}} {
		s.refuses("client_address", request{operation: "verifyApiKey", body: fields{"key": key.secret, "client_address": address}.json(), why: sprintf("%v", address)})
	}
	s.same("after refused requests", s.get(key.id, "after refused requests"), key.body)
}
