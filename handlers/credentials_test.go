package handlers_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"apikeyd/apikey"
	"apikeyd/gen"
)

func TestCredentials(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	good := k.add("team", "good", apikey.ScopeRead).Secret
	other := k.add("team", "other", apikey.ScopeRead).Secret
	revoked := k.add("team", "revoked", apikey.ScopeRead)
	k.revoke(k.admin, keyPath(revoked.ID)).want(200)
	goodID, err := apikey.ParseSecret(good)
	k.must(err)
	unknown := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	wrongRandom := apikey.NewSecret("ak", goodID.ID()).Reveal()
	otherPrefix := apikey.NewSecret("other", goodID.ID()).Reveal()
	k.secrets.add(unknown)
	k.secrets.add(wrongRandom)
	k.secrets.add(otherPrefix)

	const pass = "" // no code: the request passes
	tests := []struct {
		name          string
		apiKey        []string
		authorization []string
		code          string
	}{
		{"none", nil, nil, "CREDENTIAL_MISSING"},
		{"empty x-api-key", []string{""}, nil, "CREDENTIAL_MISSING"},
		{"bearer without a token", nil, []string{"Bearer"}, "CREDENTIAL_MISSING"},
		{"bearer with an empty token", nil, []string{"Bearer  "}, "CREDENTIAL_MISSING"},
		{"secret without a scheme", nil, []string{good}, "CREDENTIAL_MISSING"},
		{"basic alone", nil, []string{"Basic " + good}, "CREDENTIAL_MISSING"},
		{"well-formed but not stored", []string{unknown}, nil, "CREDENTIAL_INVALID"},
		{"malformed", []string{"hunter2"}, nil, "CREDENTIAL_INVALID"},
		{"malformed bearer", nil, []string{"Bearer hunter2"}, "CREDENTIAL_INVALID"},
		{"wrong checksum", []string{mistyped(good)}, nil, "CREDENTIAL_INVALID"},
		{"right id, wrong random part", []string{wrongRandom}, nil, "CREDENTIAL_INVALID"},
		{"right id, other prefix", []string{otherPrefix}, nil, "CREDENTIAL_INVALID"},
		{"cut short", []string{good[:len(good)-1]}, nil, "CREDENTIAL_INVALID"},
		{"something after it", []string{good + "A"}, nil, "CREDENTIAL_INVALID"},
		{"two in one header", []string{good + ", " + good}, nil, "CREDENTIAL_INVALID"},
		{"in capitals", []string{strings.ToUpper(good)}, nil, "CREDENTIAL_INVALID"},
		{"not UTF-8", []string{"ak_\xff\xfe"}, nil, "CREDENTIAL_INVALID"},
		{"revoked", []string{revoked.Secret}, nil, "CREDENTIAL_REVOKED"},
		{"revoked bearer", nil, []string{"Bearer " + revoked.Secret}, "CREDENTIAL_REVOKED"},
		{"two different in x-api-key", []string{good, other}, nil, "CREDENTIAL_AMBIGUOUS"},
		{"two different bearers", nil, []string{"Bearer " + good, "Bearer " + other}, "CREDENTIAL_AMBIGUOUS"},
		{"different across headers", []string{good}, []string{"Bearer " + other}, "CREDENTIAL_AMBIGUOUS"},
		{"a good and a bad one", []string{good}, []string{"Bearer hunter2"}, "CREDENTIAL_AMBIGUOUS"},
		{"a bad and a good one", []string{"hunter2", good}, nil, "CREDENTIAL_AMBIGUOUS"},

		{"x-api-key", []string{good}, nil, pass},
		{"bearer", nil, []string{"Bearer " + good}, pass},
		{"lower-case bearer", nil, []string{"bearer " + good}, pass},
		{"upper-case bearer", nil, []string{"BEARER " + good}, pass},
		{"bearer with several spaces", nil, []string{"Bearer   " + good}, pass},
		{"the same in x-api-key twice", []string{good, good}, nil, pass},
		{"the same bearer twice", nil, []string{"Bearer " + good, "Bearer " + good}, pass},
		{"the same across headers", []string{good}, []string{"Bearer " + good}, pass},
		{"empty beside a good one", []string{""}, []string{"Bearer " + good}, pass},
		{"basic is ignored", []string{good}, []string{"Basic " + other}, pass},
		{"basic beside bearer", nil, []string{"Basic eDp5", "Bearer " + good}, pass},
	}
	for _, tt := range tests {
		k.Run(tt.name, func(k *kit) {
			header := http.Header{"X-Api-Key": tt.apiKey, "Authorization": tt.authorization}
			answer := k.do(request{path: keysPath, header: header})
			if tt.code == pass {
				answer.want(200)
				return
			}
			answer.refused(401, tt.code)
			// RFC 6750, section 3.1: no error for a request without credentials.
			challenge := `Bearer realm="apikeyd", error="invalid_token"`
			if tt.code == "CREDENTIAL_MISSING" {
				challenge = `Bearer realm="apikeyd"`
			}
			answer.wantHeader("WWW-Authenticate", challenge)
		})
	}
}

// mistyped changes the last character of a secret, so that its checksum is wrong.
func mistyped(secret string) string {
	last := "A"
	if strings.HasSuffix(secret, last) {
		last = "B"
	}
	return secret[:len(secret)-1] + last
}

func TestCredentialExpires(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	short := k.mustCreate(k.admin, fields{"expires_at": k.in(1000e6)})
	k.clock.Advance(999e6)
	k.get(short, keysPath).want(200)
	k.clock.Advance(1e6) // exactly to its expiry
	k.get(short, keysPath).refused(401, "CREDENTIAL_EXPIRED")
	k.revoke(k.admin, keyPath(short.ID)).want(200)
	k.get(short, keysPath).refused(401, "CREDENTIAL_REVOKED")
}

func TestSecretInQueryIsNoCredential(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, name := range []string{"x-api-key", "access_token", "api_key", "key"} {
		k.do(request{path: keysPath + "?" + name + "=" + k.admin.Secret}).refused(401, "CREDENTIAL_MISSING")
	}
}

// called is an operation of the contract that can be called.
type called struct {
	id, method, path, scope string
}

// operations lists the contract's operations, so that none is forgotten, except those that require no scope
// of apikeyd's, which have their own tests.
func (k *kit) operations(keyName string) []called {
	k.Helper()
	contract, err := gen.GetSpec()
	k.must(err)
	var all []called
	var others []string
	for path, item := range contract.Paths.Map() {
		for method, o := range item.Operations() {
			scope, _ := o.Extensions["x-required-scope"].(string)
			if scope == "" {
				others = append(others, o.OperationID)
				continue
			}
			path := strings.NewReplacer("{key_name}", keyName, "{owner}", "team").Replace(path)
			all = append(all, called{o.OperationID, method, path, scope})
		}
	}
	slices.Sort(others)
	if len(all) < 8 || !slices.Equal(others, []string{"forwardAuth", "reportLeakedKey", "reportScannedSecrets"}) {
		k.Fatalf("the contract has %d operations with a scope, and without one %q", len(all), others)
	}
	return all
}

var ownScopes = []string{apikey.ScopeRead, apikey.ScopeWrite, apikey.ScopeVerify, apikey.ScopeAdmin}

func TestEveryOperationIsGuarded(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	target := k.add("team", "target")
	expired := k.mustCreate(k.admin, fields{"name": "expired", "expires_at": k.in(1e6)})
	k.clock.Advance(1e6)
	revoked := k.mustCreate(k.admin, fields{"name": "revoked"})
	k.revoke(k.admin, keyPath(revoked.ID)).want(200)
	none := k.add("team", "none")
	foreign := k.add("team", "foreign", "datasets:read", "keys", "admin", "KEYS:ADMIN")

	for _, op := range k.operations(target.Name) {
		var others []string // all scopes except those that suffice
		for _, scope := range ownScopes {
			if scope != op.scope && scope != apikey.ScopeAdmin {
				others = append(others, scope)
			}
		}
		wrong := k.add("team", "all but "+op.scope+" for "+op.id, others...)
		tests := []struct {
			name   string
			secret string
			status int
			code   string
		}{
			{"no credentials", "", 401, "CREDENTIAL_MISSING"},
			{"unknown", apikey.NewSecret("ak", apikey.NewID()).Reveal(), 401, "CREDENTIAL_INVALID"},
			{"expired", expired.Secret, 401, "CREDENTIAL_EXPIRED"},
			{"revoked", revoked.Secret, 401, "CREDENTIAL_REVOKED"},
			{"no scope", none.Secret, 403, "INSUFFICIENT_SCOPE"},
			{"only scopes of an integrator", foreign.Secret, 403, "INSUFFICIENT_SCOPE"},
			{"every scope but the right one", wrong.Secret, 403, "INSUFFICIENT_SCOPE"},
		}
		for _, tt := range tests {
			k.Run(op.id+"/"+tt.name, func(k *kit) {
				k.do(request{method: op.method, path: op.path, key: tt.secret}).refused(tt.status, tt.code)
				// Strangers get no messages from validation.
				bad := request{method: op.method, path: op.path + "?unknown=%zz", key: tt.secret,
					header: http.Header{"Content-Type": {"text/plain"}}, body: "[[["}
				k.do(bad).refused(tt.status, tt.code)
				bad.body = strings.Repeat(" ", 1<<17)
				k.do(bad).refused(tt.status, tt.code)
			})
		}
		k.Run(op.id+"/the right scope", func(k *kit) {
			right := k.add("team", "only "+op.scope+" for "+op.id, op.scope)
			answer := k.do(request{method: op.method, path: op.path, key: right.Secret})
			if answer.status == 401 || answer.status == 403 {
				k.Errorf("status %d: %s", answer.status, answer.raw)
			}
		})
	}
}
