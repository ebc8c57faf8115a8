package conformance

import (
	"net/http"
	"reflect"
	"strings"
	"time"

	"filippo.io/age"

	"apikeyd/apikey"
)

func rotationChecks() []check {
	const group = "rotation"
	return []check{
		{group, "old-secret", "a rotation ends the old secret at once and changes nothing else", needWriteKey, rotations},
		{group, "grace", "a grace keeps the old secret valid until its end or the next rotation", needWriteKey, graces},
		{group, "revocation", "a revocation ends both secrets, and a revoked key cannot be rotated", needWriteKey, revokedRotation},
		{group, "itself", "a key can rotate itself", needWriteKey, selfRotation},
		{group, "concurrent-by-itself", "of concurrent rotations by one secret, one succeeds", needWriteKey, selfRotationsAtOnce},
		{group, "concurrent", "of the secrets from concurrent rotations, one works", needWriteKey, rotationsAtOnce},
		{group, "sealed", "a secret that is sealed to a recipient is shown to nobody else", needWriteKey, sealedSecrets},
		{group, "grace-seconds", "grace_seconds is a whole number up to 7 days, and optional", needWriteKey, badRotations},
	}
}

// reader creates a key whose secrets can be tried with keys:read.
func (s *session) reader() created {
	return s.create(s.keyBody().with("scopes", readScopes(s)).with("metadata", fields{"plan": "pro"}))
}

func rotations(s *session) {
	key := s.reader()
	s.accepted(key.id, key.secret, "with the secret that will be replaced")
	for why, body := range map[string]string{
		"no body": "", "an empty object": "{}", "a grace of 0": `{"grace_seconds":0}`,
	} {
		rotated := s.rotate(key, body)
		s.same("rotating with "+why, rotated.body, key.body)
		s.same("after rotating with "+why, s.get(key.id, "after rotating with "+why), key.body)
		if prefix, _ := key.body["prefix"].(string); rotated.secret == key.secret || !strings.HasPrefix(rotated.secret, prefix) {
			s.fail("rotating with %s: the new secret is the old one, or begins with another prefix", why)
		}
		s.rejected(key.id, key.secret, "with the secret that was replaced with "+why)
		s.accepted(key.id, rotated.secret, "with the new secret")
		key.secret = rotated.secret
	}
	byName := s.want(http.StatusOK, request{operation: "rotateApiKey", key: key.name, why: "by name"})
	s.secretIn(byName)
	s.same(byName.about, byName.body, key.body)
	s.want(http.StatusNotFound, request{operation: "rotateApiKey", key: s.run, why: "no such key"})
}

func graces(s *session) {
	first := s.reader()
	second := s.rotate(first, `{"grace_seconds":600}`)
	s.checkGrace(second, 600*time.Second, first.at)
	s.accepted(first.id, first.secret, "with the old secret in its grace")
	s.accepted(first.id, second.secret, "with the new secret")
	if got := s.get(first.id, "in its grace")["grace_ends_at"]; !reflect.DeepEqual(got, second.body["grace_ends_at"]) {
		s.fail("grace_ends_at is %v, the rotation answered %v", got, second.body["grace_ends_at"])
	}

	third := s.rotate(second, `{"grace_seconds":604800}`)
	if text(third.body["grace_ends_at"]) != text(third.body["expires_at"]) {
		s.fail("a grace of 7 days ends at %v, past the end of the key or before it: %v",
			third.body["grace_ends_at"], third.body["expires_at"])
	}
	s.rejected(first.id, first.secret, "with the secret before the old one")
	s.accepted(first.id, second.secret, "with the old secret in its grace")
	s.accepted(first.id, third.secret, "with the newest secret")

	fourth := s.rotate(third, "")
	if end, ok := fourth.body["grace_ends_at"]; ok {
		s.fail("grace_ends_at is %v after a rotation without grace", end)
	}
	s.rejected(first.id, second.secret, "with the secret whose grace the rotation ended")
	s.rejected(first.id, third.secret, "with the secret that was replaced without grace")
	s.accepted(first.id, fourth.secret, "with the newest secret")
}

// checkGrace checks the end of a grace, counted from the rotation, which was between the creation and
// now.
func (s *session) checkGrace(rotated created, grace time.Duration, createdAt time.Time) {
	const slack = 5 * time.Second // between the two clocks
	begin := stamp(rotated.body["created_at"])
	end := stamp(rotated.body["grace_ends_at"])
	if end.Before(begin.Add(grace)) || end.After(begin.Add(s.clock.Now().Sub(createdAt)+grace+slack)) {
		s.fail("a grace of %s in a rotation right after %v ends at %v",
			grace, rotated.body["created_at"], rotated.body["grace_ends_at"])
	}
}

func revokedRotation(s *session) {
	old := s.reader()
	key := s.rotate(old, `{"grace_seconds":600}`)
	s.accepted(key.id, old.secret, "with the old secret in its grace")
	revoked := s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id})
	if end, ok := revoked.body["grace_ends_at"]; ok {
		s.fail("%s: grace_ends_at is %v", revoked.about, end)
	}
	s.rejected(key.id, old.secret, "with the old secret of a revoked key")
	s.rejected(key.id, key.secret, "with the new secret of a revoked key")
	s.wantCode(http.StatusConflict, "KEY_REVOKED", request{operation: "rotateApiKey", key: key.id, why: "a revoked key"})
	s.same("after a refused rotation", s.get(key.id, "after a refused rotation"), revoked.body)
	s.rejected(key.id, key.secret, "after a refused rotation")
}

func selfRotation(s *session) {
	old := s.create(s.keyBody().with("scopes", []string{apikey.ScopeRead, apikey.ScopeWrite}))
	key := s.rotateAs(old.secret, old, "")
	s.rejected(key.id, old.secret, "with the secret that replaced itself")
	s.accepted(key.id, key.secret, "with the secret it got")
	key = s.rotateAs(key.secret, key, `{"grace_seconds":600}`)
	s.accepted(key.id, key.secret, "with the secret it got")
}

// selfRotationsAtOnce lets a secret replace itself several times concurrently. Each success must
// return a secret that works, so only one can succeed.
func selfRotationsAtOnce(s *session) {
	key := s.create(s.keyBody().with("scopes", []string{apikey.ScopeRead, apikey.ScopeWrite}))
	secrets := s.rotateAtOnce(request{key: key.id, secret: key.secret})
	for _, secret := range secrets {
		s.accepted(key.id, secret, "with the secret of a rotation that succeeded")
	}
	if len(secrets) != 1 {
		s.fail("of 8 rotations at once by the same secret %d succeeded, want 1", len(secrets))
	}
}

// rotationsAtOnce replaces another key's secret several times concurrently. Sequential rotations
// succeed, overlapping ones fail, and the last success has the secret that works.
func rotationsAtOnce(s *session) {
	key := s.reader()
	working := 0
	secrets := s.rotateAtOnce(request{key: key.id})
	for _, secret := range secrets {
		r := request{operation: "getApiKey", key: key.id, secret: secret, why: "with one of the secrets"}
		if a, err := s.send(r); err == nil && a.status == http.StatusOK {
			working++
		}
	}
	if working != 1 {
		s.fail("of the %d secrets that rotations at once showed %d work, want 1", len(secrets), working)
	}
	s.rejected(key.id, key.secret, "with the secret that was replaced")
}

// rotateAtOnce rotates a key 8 times concurrently and returns the secrets of those that succeeded.
func (s *session) rotateAtOnce(r request) []string {
	r.operation, r.why = "rotateApiKey", "8 at once"
	var secrets []string
	for _, a := range s.sendAtOnce(8, r) {
		switch {
		case a.status == http.StatusOK:
			secrets = append(secrets, s.secretIn(a))
			s.expect(http.StatusOK, a)
		case (a.status == http.StatusUnauthorized || a.throttled()) && r.secret != "": // another one replaced it
			s.expect(a.status, a)
		default:
			s.expect(http.StatusConflict, a)
			if a.body["code"] != "KEY_ROTATED" {
				s.fail("%s: code %v, want KEY_ROTATED", a.about, a.body["code"])
			}
		}
	}
	return secrets
}

func badRotations(s *session) {
	for why, tt := range map[string]struct{ field, body string }{
		"less than none":            {"grace_seconds", `{"grace_seconds":-1}`},
		"a second more than 7 days": {"grace_seconds", `{"grace_seconds":604801}`},
		"half a second":             {"grace_seconds", `{"grace_seconds":0.5}`},
		"a string":                  {"grace_seconds", `{"grace_seconds":"60"}`},
		"null":                      {"grace_seconds", `{"grace_seconds":null}`},
		"a number out of range":     {"body", `{"grace_seconds":1e999}`},
		"twice":                     {"body", `{"grace_seconds":1,"grace_seconds":2}`},
		"an unknown property":       {"grace", `{"grace":60}`},
		"an array":                  {"body", `[]`},
		"null for the body":         {"body", `null`},
		"cut off":                   {"body", `{"grace_seconds":`},
	} {
		s.refuses(tt.field, request{operation: "rotateApiKey", key: s.run, body: tt.body, why: why})
	}
	s.refuses("Content-Type", request{operation: "rotateApiKey", key: s.run, body: "{}",
		header: http.Header{"Content-Type": {"text/plain"}}, why: "another media type"})
	s.refuses("page", request{operation: "rotateApiKey", key: s.run, query: "page=1"})
	s.want(http.StatusRequestEntityTooLarge, request{operation: "rotateApiKey", key: s.run,
		body: "{}" + padding(maxBody), why: "more than 64 KiB"})
}

func sealedSecrets(s *session) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		s.fail("no recipient could be made: %v", err)
		return
	}
	recipient := fields{"recipient": identity.Recipient().String()}
	open := func(a answer) string {
		if secret, shown := a.body["secret"]; shown {
			s.keepSecret(text(secret))
			s.fail("%s: the answer shows the secret in clear", a.about)
		}
		secret, err := apikey.OpenSecret(text(a.body["sealed_secret"]), strings.NewReader(identity.String()))
		if err != nil {
			s.fail("%s: sealed_secret cannot be opened: %v", a.about, err)
		}
		s.keepSecret(secret.Reveal())
		return secret.Reveal()
	}

	made := s.want(http.StatusCreated, request{operation: "createApiKey", why: "with a recipient",
		body: s.keyBody().with("scopes", readScopes(s)).with("recipient", recipient["recipient"]).json()})
	id := text(made.body["id"])
	if id == "" {
		return
	}
	s.made = append(s.made, created{id: id, name: text(made.body["name"]), body: made.body, at: s.clock.Now()})
	first := open(made)
	s.accepted(id, first, "with a secret that was sealed")
	rotated := s.want(http.StatusOK, request{operation: "rotateApiKey", key: id, why: "with a recipient", body: recipient.json()})
	s.accepted(id, open(rotated), "with another secret that was sealed")
	s.rejected(id, first, "with the secret before it")

	for why, wrong := range map[string]string{
		"a private key": identity.String(), "half a public key": identity.Recipient().String()[:40],
	} {
		body := fields{"recipient": wrong}
		s.refuses("recipient", request{operation: "rotateApiKey", key: id, why: why, body: body.json()})
		s.refuses("recipient", request{operation: "createApiKey", why: why, body: s.keyBody().with("recipient", wrong).json()})
	}
}
