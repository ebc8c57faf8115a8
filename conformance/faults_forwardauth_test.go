//go:build full

package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

var forwardAuthFaults = map[string]planted{
	"an identity header is missing when it is empty": {
		admitted(func(_ *http.Request, h http.Header) {
			if h.Get("X-Api-Key-Scopes") == "" {
				h.Del("X-Api-Key-Scopes")
			}
		}),
		"identity headers are always set", "X-Api-Key-Scopes is set 0 times",
	},
	"a name is not encoded": {
		admitted(func(_ *http.Request, h http.Header) {
			name, _ := url.PathUnescape(h.Get("X-Api-Key-Name"))
			h.Set("X-Api-Key-Name", name)
		}),
		"identity headers are always set", "X-Api-Key-Name is not percent-encoded",
	},
	"an owner is encoded twice": {
		admitted(func(_ *http.Request, h http.Header) {
			h.Set("X-Api-Key-Owner", url.PathEscape(h.Get("X-Api-Key-Owner")))
		}),
		"identity headers are always set", "X-Api-Key-Owner is",
	},
	"the client's own identity headers pass": {
		admitted(func(r *http.Request, h http.Header) {
			if id := r.Header.Get("X-Api-Key-Id"); id != "" {
				h.Set("X-Api-Key-Id", id)
			}
		}),
		"identity headers are always set", `X-Api-Key-Id is "smuggled"`,
	},
	"the client's own identity header is added to ours": {
		admitted(func(r *http.Request, h http.Header) {
			if scopes := r.Header.Get("X-Api-Key-Scopes"); scopes != "" {
				h.Add("X-Api-Key-Scopes", scopes)
			}
		}),
		"identity headers are always set", "X-Api-Key-Scopes is set 2 times",
	},
	"an undeclared body": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isForwardAuth(r) && a.Code == http.StatusOK {
				a.Body.WriteString("ok")
			}
		}),
		"a valid key passes, with", "an unexpected body of 2 bytes",
	},
	"only GET passes": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isForwardAuth(r) && r.Method != http.MethodGet {
				refuse(a, http.StatusMethodNotAllowed)
			}
		}),
		"every method passes", "DELETE /v1/forward-auth: status 405, want 200",
	},
	"an unknown method is refused": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isForwardAuth(r) && r.Method == "NONSENSE" {
				refuse(a, http.StatusMethodNotAllowed)
			}
		}),
		"every method passes", "NONSENSE /v1/forward-auth: status 405, want 200",
	},
	"unknown query parameters are refused": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isForwardAuth(r) && r.URL.Query().Has("colour") {
				refuse(a, http.StatusBadRequest)
			}
		}),
		"every method passes", "status 400, want 200",
	},
	"a body is refused": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isForwardAuth(r) && len(sentText(r)) > 0 {
				refuse(a, http.StatusBadRequest)
			}
		}),
		"every method passes", "(with a body): status 400, want 200",
	},
	"paths below are not found": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if strings.HasPrefix(r.URL.Path, "/v1/forward-auth/") {
				refuse(a, http.StatusNotFound)
			}
		}),
		"every method passes", "GET /v1/forward-auth/a: status 404, want 200",
	},
	"scopes are ignored": {
		forwarded(func(r *http.Request) { r.URL.RawQuery = "" }),
		"the key must have all scopes in the query", "status 200, want 403",
	},
	"only the first scope is checked": {
		forwarded(func(r *http.Request) {
			if query := r.URL.Query(); query.Has("scope") {
				query.Set("scope", query.Get("scope"))
				r.URL.RawQuery = query.Encode()
			}
		}),
		"the key must have all scopes in the query", "scope=keys:read&scope=conformance:lost: status 200, want 403",
	},
	"an empty scope is ignored": {
		forwarded(func(r *http.Request) {
			if r.URL.RawQuery == "scope=" {
				r.URL.RawQuery = ""
			}
		}),
		"the key must have all scopes in the query", "?scope= (a scope that is none): status 200, want 403",
	},
	"a comma separates scopes": {
		forwarded(func(r *http.Request) { r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, ",", "+") }),
		"the key must have all scopes in the query", "?scope=keys:read,keys:write (a comma): status 200, want 400",
	},
	"a misspelled scope is ignored": {
		forwarded(func(r *http.Request) {
			if query := r.URL.Query(); query.Has("scopes") && !query.Has("scope") {
				r.URL.RawQuery = ""
			}
		}),
		"the key must have all scopes in the query", "?scopes=keys:read (scope misspelled): status 200, want 403",
	},
	"the first of two keys counts": {
		forwarded(func(r *http.Request) {
			if r.Header.Get("X-Api-Key") != "" {
				r.Header.Del("Authorization")
			}
		}),
		"a request without a valid key is refused", "(two different keys): status 200, want 401",
	},
	"an ended secret passes": {
		staleAdmission, "an ended secret is refused", "(a secret that was rotated out): status 200, want 401",
	},
	"a revoked key passes": {
		staleAdmission, "an ended secret is refused", "(a revoked key): status 200, want 401",
	},
}

// admitted makes a fault that changes the headers of forward-auth's successes.
func admitted(change func(*http.Request, http.Header)) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		if isForwardAuth(r) && a.Code == http.StatusOK {
			change(r, a.Header())
		}
	})
}

// forwarded makes a fault that changes requests to forward-auth.
func forwarded(change func(*http.Request)) func() fault {
	return requests(func(r *http.Request) {
		if isForwardAuth(r) {
			change(r)
		}
	})
}

// staleAdmission keeps accepting a key that passed once.
func staleAdmission() fault {
	var seen sync.Map
	return fault{after: func(_ http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
		secret := r.Header.Get("X-Api-Key")
		if !isForwardAuth(r) {
			return
		}
		if a.Code == http.StatusOK {
			seen.Store(secret, a)
		} else if passed, ok := seen.Load(secret); ok && a.Code == http.StatusUnauthorized {
			*a = *passed.(*httptest.ResponseRecorder)
		}
	}}
}

var rateLimitFaults = map[string]planted{
	"over the limit without retry_after_seconds": {
		verified(func(_, body map[string]any) { delete(body, "retry_after_seconds") }),
		"a key over its limit is RATE_LIMITED", "retry_after_seconds is nothing",
	},
	"a limit is not enforced": {
		verified(func(_, body map[string]any) {
			if body["code"] == "RATE_LIMITED" {
				body["code"], body["valid"] = "VALID", true
				delete(body, "retry_after_seconds")
			}
		}),
		"a key over its limit is RATE_LIMITED", "(over the limit): code VALID, valid true, want RATE_LIMITED",
	},
	"a rate limit takes precedence over a missing scope": {
		func() fault {
			return fault{before: func(service http.Handler, r *http.Request) {
				body := sentJSON(r)
				if secret, _ := body["key"].(string); isVerify(r) && body["scopes"] != nil &&
					strings.Contains(ask(service, r, http.MethodPost, "/v1/verify", `{"key":"`+secret+`"}`).Body.String(), "RATE_LIMITED") {
					setBody(r, `{"key":"`+secret+`"}`)
				}
			}}
		},
		"a key over its limit is RATE_LIMITED", "code RATE_LIMITED, valid false, want INSUFFICIENT_SCOPE",
	},
	"refused calls count too": {
		answers(func(service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if secret, _ := sentJSON(r)["key"].(string); isVerify(r) && strings.Contains(a.Body.String(), "INSUFFICIENT_SCOPE") {
				ask(service, r, http.MethodPost, "/v1/verify", `{"key":"`+secret+`"}`)
			}
		}),
		"only calls that pass count", "(the first call that counts): code RATE_LIMITED",
	},
	"introspection counts too": {
		answers(func(service http.Handler, r *http.Request, _ *httptest.ResponseRecorder) {
			if form, _ := url.ParseQuery(string(sentText(r))); isIntrospection(r) {
				ask(service, r, http.MethodPost, "/v1/verify", `{"key":"`+form.Get("token")+`"}`)
			}
		}),
		"only calls that pass count", "(the first call that counts): code RATE_LIMITED",
	},
	"refused calls delay the next": {
		func() fault {
			var refused atomic.Int64
			return verified(func(_, body map[string]any) {
				if seconds, ok := body["retry_after_seconds"].(float64); ok {
					body["retry_after_seconds"] = seconds + 60*float64(refused.Add(1))
				}
			})()
		},
		"only calls that pass count", "refused calls delay the next",
	},
	"any key may set a rate limit": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if _, set := sentJSON(r)["rate_limit"]; set && a.Code == http.StatusForbidden {
				*a = *ask(service, admin, r.Method, r.URL.EscapedPath(), string(sentText(r)))
			}
		}),
		"only keys:admin sets a rate limit", "status 200, want 403",
	},
	"a new key does not inherit the limit": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if _, set := sentJSON(r)["rate_limit"]; isCreation(r) && !set {
				rewrite(a, func(body map[string]any) { delete(body, "rate_limit") })
			}
		}),
		"only keys:admin sets a rate limit", "the child of a key with a limit: rate_limit is nothing",
	},
	"null does not remove the limit": {
		sentBodies(isPatch, func(body map[string]any) {
			if limit, ok := body["rate_limit"]; ok && limit == nil {
				delete(body, "rate_limit")
			}
		}),
		"a rate limit is stored, changed and removed", "(taking it away): rate_limit is {",
	},
	"a limit of 0 is accepted": {
		sentBodies(isPatch, func(body map[string]any) {
			if limit, _ := body["rate_limit"].(map[string]any); limit["limit"] == 0.0 {
				limit["limit"] = 1
			}
		}),
		"a rate limit consists of whole numbers", "(rate_limit: a limit of 0): status 404, want 400",
	},
	"rate_limited is ignored": {
		forwarded(func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "rate_limited=429", "", 1) }),
		"forward-auth answers 403 or 429", "status 403, want 429",
	},
	"over the limit without Retry-After": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Del("Retry-After") }),
		"forward-auth answers 403 or 429", `Retry-After is ""`,
	},
	"over the limit without RateLimit": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Del("RateLimit") }),
		"forward-auth answers 403 or 429", `RateLimit is ""`,
	},
}
