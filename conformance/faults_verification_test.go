//go:build full

package conformance_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"apikeyd/apikey"
)

var verificationFaults = map[string]planted{
	"a missing scope takes precedence over the expiry": {
		verified(func(sent, body map[string]any) {
			if body["code"] == "EXPIRED" && sent["scopes"] != nil {
				body["code"] = "INSUFFICIENT_SCOPE"
			}
		}),
		"the code is the first that applies", "code INSUFFICIENT_SCOPE, valid false, want EXPIRED",
	},
	"the expiry takes precedence over a revocation": {
		verified(func(_, body map[string]any) {
			if body["code"] == "REVOKED" {
				body["code"] = "EXPIRED"
			}
		}),
		"the code is the first that applies", "code EXPIRED, valid false, want REVOKED",
	},
	"a rotated-out secret is distinguished from others": {
		verified(func(sent, body map[string]any) {
			text, _ := sent["key"].(string)
			if _, err := apikey.ParseSecret(text); err == nil && body["code"] == "NOT_FOUND" {
				body["code"] = "REVOKED"
			}
		}),
		"the code is the first that applies", "code REVOKED, valid false, want NOT_FOUND",
	},
	"a key is returned for another secret": {
		answers(func(service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if !isVerify(r) || a.Code != http.StatusOK {
				return
			}
			rewrite(a, func(body map[string]any) {
				text, _ := sentJSON(r)["key"].(string)
				if secret, err := apikey.ParseSecret(text); err == nil && body["code"] == "NOT_FOUND" {
					found := ask(service, r, http.MethodGet, "/v1/api-keys/"+secret.ID().String(), "")
					var key map[string]any
					if found.Code == http.StatusOK && json.Unmarshal(found.Body.Bytes(), &key) == nil {
						body["key"] = key
					}
				}
			})
		}),
		"any string may be verified", "code NOT_FOUND, and the key in the answer is {",
	},
	"a malformed secret is a bad request": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			text, _ := sentJSON(r)["key"].(string)
			if _, err := apikey.ParseSecret(text); isVerify(r) && err != nil {
				refuse(a, http.StatusBadRequest)
			}
		}),
		"any string may be verified", "status 400, want 200",
	},
	"VALID without the key": {
		verified(func(_, body map[string]any) { delete(body, "key") }),
		"a valid key is VALID", "the key in the answer is nothing",
	},
	"valid does not mean VALID": {
		verified(func(_, body map[string]any) { body["valid"] = true }),
		"the key must have all requested scopes", "code INSUFFICIENT_SCOPE, valid true",
	},
	"any one of several scopes is enough": {
		answers(func(service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			sent := sentJSON(r)
			scopes, _ := sent["scopes"].([]any)
			if !isVerify(r) || !strings.Contains(a.Body.String(), "INSUFFICIENT_SCOPE") {
				return
			}
			for _, scope := range scopes {
				sent["scopes"] = []any{scope}
				text, _ := json.Marshal(sent) // it came from JSON
				if alone := ask(service, r, http.MethodPost, "/v1/verify", string(text)); strings.Contains(alone.Body.String(), "VALID") {
					*a = *alone
				}
			}
		}),
		"the key must have all requested scopes", "(one of two is lacking): code VALID",
	},
	"keys:admin includes every scope": {
		verified(func(_, body map[string]any) {
			key, _ := body["key"].(map[string]any)
			for _, scope := range asList(key["scopes"]) {
				if scope == apikey.ScopeAdmin && body["code"] == "INSUFFICIENT_SCOPE" {
					body["code"], body["valid"] = "VALID", true
				}
			}
		}),
		"keys:verify covers every owner", "(a scope of an integrator): code VALID",
	},
	"verify works only for its own owner's keys": {
		verified(func(_, body map[string]any) {
			key, _ := body["key"].(map[string]any)
			if owner, _ := key["owner"].(string); strings.HasSuffix(owner, "-other") {
				body["code"], body["valid"] = "NOT_FOUND", false
				delete(body, "key")
			}
		}),
		"keys:verify covers every owner", "(another owner's key): code NOT_FOUND",
	},
	"verify needs no scope": {
		func() fault {
			var admin string // the first key that is sent
			return fault{before: func(_ http.Handler, r *http.Request) {
				if admin == "" {
					admin = r.Header.Get("X-Api-Key")
				}
				if isVerify(r) && r.Header.Get("X-Api-Key") != "" {
					r.Header.Set("X-Api-Key", admin)
				}
			}}
		},
		"every operation refuses a key without its scope", "POST /v1/verify (key without scopes): status 400, want 403",
	},
	"a repeated scope is accepted": {
		sentBodies(isVerify, func(body map[string]any) {
			if scopes := asList(body["scopes"]); len(scopes) == 2 && scopes[0] == scopes[1] {
				body["scopes"] = scopes[:1]
			}
		}),
		"an invalid verification request", "(a scope comes twice): status 200, want 400",
	},
}

func asList(value any) []any {
	items, _ := value.([]any)
	return items
}

// verified makes a fault that changes the answers of verify.
func verified(change func(sent, body map[string]any)) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		if isVerify(r) && a.Code == http.StatusOK {
			sent := sentJSON(r)
			rewrite(a, func(body map[string]any) { change(sent, body) })
		}
	})
}

var introspectionFaults = map[string]planted{
	"introspection reveals why a token is inactive": {
		introspected(false, func(body map[string]any) { body["error"] = "revoked" }),
		"an invalid token is inactive", "want active false and nothing else",
	},
	"an inactive token has an owner": {
		introspected(false, func(body map[string]any) { body["sub"] = "acme" }),
		"an invalid token is inactive", "want active false and nothing else",
	},
	"an ended token is active": {
		introspected(false, func(body map[string]any) { body["active"] = true }),
		"an invalid token is inactive", "(a secret that was rotated out): answered {\"active\":true}",
	},
	"a time in milliseconds": {
		introspected(true, func(body map[string]any) {
			end, _ := body["exp"].(float64)
			body["exp"] = end * 1000
		}),
		"a valid token is active", "(a new key): answered",
	},
	"an old secret expires with its key": {
		answers(func(service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if !isIntrospection(r) || a.Code != http.StatusOK {
				return
			}
			rewrite(a, func(body map[string]any) {
				id, _ := body["client_id"].(string)
				var key struct {
					End apikey.Timestamp `json:"expires_at"`
				}
				found := ask(service, r, http.MethodGet, "/v1/api-keys/"+id, "")
				if json.Unmarshal(found.Body.Bytes(), &key) == nil && id != "" {
					body["exp"] = key.End.Time().Unix()
				}
			})
		}),
		"a valid token is active", "(the old secret in its grace): answered",
	},
	"HTTP Basic is not accepted": {
		requests(func(r *http.Request) {
			if _, _, ok := r.BasicAuth(); ok && isIntrospection(r) {
				r.Header.Del("Authorization")
			}
		}),
		"credentials may be a bearer token", "(basic): status 401, want 200",
	},
	"HTTP Basic is accepted everywhere": {
		requests(func(r *http.Request) {
			if _, password, ok := r.BasicAuth(); ok && !isIntrospection(r) {
				r.Header.Set("X-Api-Key", password)
			}
		}),
		"credentials may be a bearer token", "(basic, which only introspection takes): status 200, want 401",
	},
	"no challenge for HTTP Basic": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			if a.Code == http.StatusUnauthorized {
				a.Header().Set("WWW-Authenticate", "Bearer")
			}
		}),
		"credentials may be a bearer token", "no challenge for HTTP Basic",
	},
	"a repeated token is accepted": {
		requests(func(r *http.Request) {
			if form, err := url.ParseQuery(string(sentText(r))); err == nil && isIntrospection(r) && form.Has("token") {
				form.Set("token", form.Get("token"))
				setBody(r, form.Encode())
			}
		}),
		"the request is a form", "(the token twice): status 200, want 400",
	},
	"unknown form parameters are refused": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isIntrospection(r) && strings.Contains(string(sentText(r)), "colour") {
				refuse(a, http.StatusBadRequest)
			}
		}),
		"the request is a form", "(unknown parameters): status 400, want 200",
	},
}

// introspected makes a fault that changes introspection's answers about active tokens, or about
// others.
func introspected(active bool, change func(body map[string]any)) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		if isIntrospection(r) && a.Code == http.StatusOK {
			rewrite(a, func(body map[string]any) {
				if body["active"] == active {
					change(body)
				}
			})
		}
	})
}
