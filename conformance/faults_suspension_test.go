//go:build full

package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

var suspensionFaults = map[string]planted{
	"a suspension is answered and not made": {
		sentBodies(isPatch, func(body map[string]any) { delete(body, "enabled") }),
		"a suspended key is refused at once", "suspending a key: ",
	},
	"a suspended key still works": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isOne(r) && strings.Contains(a.Body.String(), "CREDENTIAL_DISABLED") {
				*a = *ask(service, admin, http.MethodGet, r.URL.Path, "")
			}
		}),
		"a suspended key is refused at once", "status 200, want 401",
	},
	"a suspended key is ACTIVE": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			rewrite(a, func(body map[string]any) {
				if body["enabled"] == false {
					body["status"] = "ACTIVE"
				}
			})
		}),
		"a suspended key is refused at once", "ACTIVE",
	},
	"nobody can enable a key again": {
		sentBodies(isPatch, func(body map[string]any) {
			if body["enabled"] == true {
				body["enabled"] = false
			}
		}),
		"a suspended key is refused at once", "enabling a key",
	},
	"a new key is never suspended": {
		sentBodies(isCreation, func(body map[string]any) { delete(body, "enabled") }),
		"a suspended key is refused at once", "created suspended",
	},
	"DISABLED is REVOKED": {
		verified(func(_, body map[string]any) {
			if body["code"] == "DISABLED" {
				body["code"] = "REVOKED"
			}
		}),
		"a suspended key is DISABLED", "code REVOKED, valid false, want DISABLED",
	},
	"a missing scope takes precedence over a suspension": {
		verified(func(sent, body map[string]any) {
			if body["code"] == "DISABLED" && sent["scopes"] != nil {
				body["code"] = "INSUFFICIENT_SCOPE"
			}
		}),
		"a suspended key is DISABLED", "code INSUFFICIENT_SCOPE, valid false, want DISABLED",
	},
	"the expiry takes precedence over a suspension": {
		verified(func(_, body map[string]any) {
			key, _ := body["key"].(map[string]any)
			created, _ := key["created_at"].(string)
			expires, _ := key["expires_at"].(string)
			from, _ := time.Parse(time.RFC3339, created)
			if to, err := time.Parse(time.RFC3339, expires); body["code"] == "DISABLED" && err == nil && to.Sub(from) < 30*time.Minute {
				body["code"] = "EXPIRED"
			}
		}),
		"a suspended key is DISABLED", "code EXPIRED, valid false, want DISABLED",
	},
	"gateways let suspended keys pass": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isForwardAuth(r) && strings.Contains(a.Body.String(), "CREDENTIAL_DISABLED") {
				a.Code = http.StatusOK
				a.Body.Reset()
			}
		}),
		"a suspended key is DISABLED", "status 200, want 401",
	},
	"the reason is forgotten": {
		requests(func(r *http.Request) {
			if r.Method == http.MethodDelete {
				leaveOut(r, "reason")
			}
		}),
		"a revocation keeps its first reason", "the reason is unspecified, want key_compromise",
	},
	"the last reason is kept": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if reason := r.URL.Query().Get("reason"); r.Method == http.MethodDelete && reason != "" {
				rewrite(a, func(body map[string]any) { body["revocation_reason"] = reason })
			}
		}),
		"a revocation keeps its first reason", "the reason is policy, want unspecified",
	},
	"lists ignore enabled": {
		requests(func(r *http.Request) {
			if isList(r) {
				leaveOut(r, "enabled")
			}
		}),
		"enabled and revocation_reason find their keys", "listing suspended keys finds",
	},
	"lists ignore the reason": {
		requests(func(r *http.Request) {
			if isList(r) {
				leaveOut(r, "revocation_reason")
			}
		}),
		"enabled and revocation_reason find their keys", "listing keys whose owner left finds",
	},
	"an unknown reason is accepted": {
		requests(func(r *http.Request) {
			if r.URL.Query().Get("reason") == "boredom" {
				leaveOut(r, "reason")
			}
		}),
		"an invalid enabled or reason is refused", "status 200, want 400",
	},
}
