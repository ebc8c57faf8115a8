package conformance

import (
	"net/http"

	"apikeyd/apikey"
)

func authenticationChecks() []check {
	const group = "authentication"
	return []check{
		{group, "every operation refuses calls without credentials", reading, func(s *session) {
			s.everyOperation(nobody, http.StatusUnauthorized, "no credentials", nil)
		}},
		{group, "every operation refuses a key that does not exist", reading, func(s *session) {
			unknown := unknownSecret()
			s.everyOperation(unknown, http.StatusUnauthorized, "unknown key", nil)
		}},
		{group, "a damaged secret is refused", reading, damagedSecrets},
		{group, "a bearer token is as good as x-api-key, other schemes are ignored", reading, schemes},
		{group, "two different keys in one request are refused", reading, twoKeys},
		{group, "every operation refuses a key without its scope", writing, func(s *session) {
			if key, ok := s.create(s.plain().with("scopes", []string{})); ok {
				s.everyOperation(key.secret, http.StatusForbidden, "key without scopes", nil)
			}
		}},
		{group, "strangers learn nothing from validation", reading, func(s *session) {
			s.want(http.StatusUnauthorized, request{operation: "listApiKeys", secret: nobody,
				query: "page=0&nonsense=1", why: "no credentials and a bad query"})
		}},
	}
}

// everyOperation calls all operations alike. In a read-only run only those that read.
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

// unknownSecret is well-formed, and no key's.
func unknownSecret() string { return apikey.NewSecret("ak", apikey.NewID()).Reveal() }

// anotherSecret is well-formed and names the same key, but is not its secret.
func anotherSecret(secret string) string {
	parsed, err := apikey.ParseSecret(secret)
	if err != nil {
		return "a secret that is not well-formed" // it will not be taken either
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
		s.want(tt.status, request{operation: "listApiKeys", secret: nobody,
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
		s.want(tt.status, request{operation: "listApiKeys", secret: nobody, header: tt.header, why: why})
	}
}
