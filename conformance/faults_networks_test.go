//go:build full

package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
)

var networkFaults = map[string]planted{
	"networks are forgotten when a key is created": {
		sentBodies(isCreation, func(body map[string]any) { delete(body, "allowed_cidrs") }),
		"a key's networks are kept", "a new key: allowed_cidrs is nothing",
	},
	"networks cannot be removed by null": {
		sentBodies(isPatch, func(body map[string]any) {
			if networks, there := body["allowed_cidrs"]; there && networks == nil {
				delete(body, "allowed_cidrs")
			}
		}),
		"a key's networks are kept", "removing its networks: allowed_cidrs is [\"192.0.2.0/24\"], want nothing",
	},
	"a rotation forgets what is observed": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isRotation(r) {
				rewrite(a, func(body map[string]any) { delete(body, "observe_cidrs") })
			}
		}),
		"a key's networks are kept", "rotating it: observe_cidrs is nothing",
	},
	"verify ignores client_address": {
		sentBodies(isVerify, func(body map[string]any) {
			if body["client_address"] == "198.51.100.1" {
				body["client_address"] = "192.0.2.7"
			}
		}),
		"a key is ADDRESS_NOT_ALLOWED outside its networks", "code VALID, valid true, want ADDRESS_NOT_ALLOWED",
	},
	"an unknown address passes": {
		sentBodies(isVerify, func(body map[string]any) {
			if _, there := body["client_address"]; !there {
				body["client_address"] = "192.0.2.7"
			}
		}),
		"a key is ADDRESS_NOT_ALLOWED outside its networks", "without client_address",
	},
	"a missing scope takes precedence over an address": {
		verified(func(sent, body map[string]any) {
			if body["code"] == "ADDRESS_NOT_ALLOWED" && sent["scopes"] != nil {
				body["code"] = "INSUFFICIENT_SCOPE"
			}
		}),
		"a key is ADDRESS_NOT_ALLOWED outside its networks", "code INSUFFICIENT_SCOPE, valid false, want ADDRESS_NOT_ALLOWED",
	},
	"IPv4-mapped addresses are not IPv4": {
		verified(func(sent, body map[string]any) {
			if address, _ := sent["client_address"].(string); strings.HasPrefix(address, "::ffff:") {
				body["code"], body["valid"] = "ADDRESS_NOT_ALLOWED", false
			}
		}),
		"a key is ADDRESS_NOT_ALLOWED outside its networks", "code ADDRESS_NOT_ALLOWED, valid false, want VALID",
	},
	"our own API lets every address pass": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isOne(r) && strings.Contains(a.Body.String(), "ADDRESS_NOT_ALLOWED") {
				*a = *ask(service, admin, http.MethodGet, r.URL.Path, "")
			}
		}),
		"a key that may not be used from here is refused", "(from outside its networks): status 200, want 403",
	},
	"gateways let every address pass": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isForwardAuth(r) && strings.Contains(a.Body.String(), "ADDRESS_NOT_ALLOWED") {
				a.Code = http.StatusOK
				a.Body.Reset()
			}
		}),
		"a key that may not be used from here is refused", "GET /v1/forward-auth (from outside its networks): status 200, want 403",
	},
	"observing refuses": {
		sentBodies(isCreation, func(body map[string]any) {
			if observed, there := body["observe_cidrs"]; there {
				body["allowed_cidrs"] = observed
			}
		}),
		"use from outside the observed networks passes", "code ADDRESS_NOT_ALLOWED, valid false, want VALID",
	},
	"uses from outside are not reported": {
		events(func(all []any) []any {
			var others []any
			for _, event := range all {
				if event.(map[string]any)["action"] != "outside" {
					others = append(others, event)
				}
			}
			return others
		}),
		"use from outside the observed networks passes", "made 0 events in 5 s",
	},
	"host bits are cut off": {
		sentBodies(isPatch, func(body map[string]any) {
			if networks, _ := body["allowed_cidrs"].([]any); len(networks) == 1 && networks[0] == "192.0.2.7/24" {
				networks[0] = "192.0.2.0/24"
			}
		}),
		"invalid networks and addresses are refused", "status 200, want 400",
	},
	"a broken client address is unknown": {
		sentBodies(isVerify, func(body map[string]any) {
			if body["client_address"] == "unknown" {
				delete(body, "client_address")
			}
		}),
		"invalid networks and addresses are refused", "status 200, want 400",
	},
}
