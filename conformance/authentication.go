package conformance

import (
	"net/http"

	"apikeyd/apikey"
)

func authenticationChecks() []check {
	const group = "authentication"
	return []check{
		{group, "no-credentials", "every operation refuses calls without credentials", needNothing, func(s *session) {
			s.everyOperation(noCredentials, http.StatusUnauthorized, "no credentials", nil)
		}},
		{group, "unknown-key", "every operation refuses an unknown key", needNothing, func(s *session) {
			unknown := unknownSecret()
			s.everyOperation(unknown, http.StatusUnauthorized, "unknown key", nil)
		}},
		{group, "damaged-secret", "a damaged secret is refused", needNothing, damagedSecrets},
		{group, "schemes", "a bearer token works like x-api-key; other schemes are ignored", needNothing, schemes},
		{group, "two-keys", "two different keys in one request are refused", needNothing, twoKeys},
		{group, "missing-scope", "every operation refuses a key without its scope", needWriteKey, func(s *session) {
			key := s.create(s.keyBody().with("scopes", []string{}))
			s.everyOperation(key.secret, http.StatusForbidden, "key without scopes", nil)
		}},
		{group, "before-validation", "authentication comes before validation", needNothing, func(s *session) {
			s.want(http.StatusUnauthorized, request{operation: "listApiKeys", secret: noCredentials,
				query: "page=0&nonsense=1", why: "no credentials and a bad query"})
		}},
	}
}

// everyOperation calls all operations in the same way, or in a read-only run those that only read.
func (s *session) everyOperation(secret string, status int, why string, header http.Header) {
	for _, name := range s.contract.names() {
		op := s.contract.operations[name]
		if s.readOnly && op.method != http.MethodGet || op.public || op.scope == "" && status == http.StatusForbidden {
			continue
		}
		r := request{operation: name, key: s.run, secret: secret, header: header, why: why}
		if op.media != "" {
			r.body = "{}"
		}
		s.want(status, r)
	}
}

// unknownSecret returns a well-formed secret that belongs to no key.
func unknownSecret() string { return apikey.NewSecret("ak", apikey.NewID()).Reveal() }

// anotherSecret returns a well-formed secret with the id of the same key.
func anotherSecret(secret string) string {
	parsed, err := apikey.ParseSecret(secret)
	if err != nil {
		return "a secret that is not well-formed" // is refused too
	}
	return apikey.NewSecret("ak", parsed.ID()).Reveal()
}

func damagedSecrets(s *session) {
	text := s.secret
	for why, damaged := range map[string]string{
		"another secret of the same key": anotherSecret(text),
		"cut short":                      text[:len(text)-1],
		"one character more":             text + "0",
		"not a secret at all":            "secret",
	} {
		s.want(http.StatusUnauthorized, request{operation: "listApiKeys", secret: damaged, why: why})
	}
}

func schemes(s *session) {
	for why, tt := range map[string]struct {
		value  string
		status int
	}{
		"bearer token":            {"Bearer " + s.secret, http.StatusOK},
		"bearer in small letters": {"bearer " + s.secret, http.StatusOK},
		"another scheme":          {"Digest " + s.secret, http.StatusUnauthorized},
		"no scheme":               {s.secret, http.StatusUnauthorized},
	} {
		s.want(tt.status, request{operation: "listApiKeys", secret: noCredentials,
			header: http.Header{"Authorization": {tt.value}}, why: why})
	}
}

func twoKeys(s *session) {
	other := unknownSecret()
	for why, tt := range map[string]struct {
		header http.Header
		status int
	}{
		"two in x-api-key": {
			http.Header{"X-Api-Key": {s.secret, other}}, http.StatusUnauthorized},
		"one in each header": {
			http.Header{"X-Api-Key": {s.secret}, "Authorization": {"Bearer " + other}}, http.StatusUnauthorized},
		"the same in both headers": {
			http.Header{"X-Api-Key": {s.secret}, "Authorization": {"Bearer " + s.secret}}, http.StatusOK},
	} {
		s.want(tt.status, request{operation: "listApiKeys", secret: noCredentials, header: tt.header, why: why})
	}
}
