//go:build full

package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
)

func isOwner(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v1/owners/") }

func isOwnerPatch(r *http.Request) bool { return isOwner(r) && isPatch(r) }

var ownerFaults = map[string]planted{
	"a bound of keys is forgotten": {
		sentBodies(isOwnerPatch, func(body map[string]any) { delete(body, "max_keys") }),
		"an owner is changed, shown and listed", "changing everything: ",
	},
	"an owner's suspension is not made": {
		sentBodies(isOwnerPatch, func(body map[string]any) { delete(body, "enabled") }),
		"a suspended owner's keys are DISABLED", "want DISABLED",
	},
	"an owner's suspension cannot be ended": {
		sentBodies(isOwnerPatch, func(body map[string]any) {
			if _, is := body["enabled"]; is {
				body["enabled"] = false
			}
		}),
		"a suspended owner's keys are DISABLED", "its owner is enabled again",
	},
	"a suspended owner's keys are shown as their own": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if r.Method != http.MethodGet || !isOne(r) {
				return
			}
			rewrite(a, func(body map[string]any) {
				if body["enabled"] == true && body["revoked_at"] == nil && body["status"] == "REVOKED" {
					body["status"] = "ACTIVE"
				}
			})
		}),
		"a suspended owner's keys are DISABLED", "getting it",
	},
	"an owner's networks are forgotten": {
		sentBodies(isOwnerPatch, func(body map[string]any) { delete(body, "allowed_cidrs") }),
		"an owner's networks narrow", "want ADDRESS_NOT_ALLOWED",
	},
	"an admin bars itself": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isOwnerPatch(r) && a.Code == http.StatusForbidden {
				*a = *ask(service, admin, http.MethodPatch, r.URL.EscapedPath(), `{"enabled":false}`)
			}
		}),
		"nobody bars its own owner", "want 403",
	},
	"an owner gets more keys than it may have": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			if strings.Contains(a.Body.String(), "TOO_MANY_KEYS") {
				a.Code = http.StatusCreated
			}
		}),
		"an owner gets no more living keys than it may have", "status 201, want 409",
	},
	"an owner's quota is never used": {
		sentBodies(isOwnerPatch, func(body map[string]any) { delete(body, "quota") }),
		"an owner's quota bounds all its keys together", "want QUOTA_EXCEEDED",
	},
	"everybody sees every owner": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isOwner(r) && r.Method == http.MethodGet && a.Code == http.StatusForbidden {
				*a = *ask(service, admin, http.MethodGet, r.URL.EscapedPath(), "")
			}
		}),
		"a key sees its own owner alone", "status 200, want 403",
	},
}
