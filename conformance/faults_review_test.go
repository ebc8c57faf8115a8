//go:build full

package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
)

const reviewCheck = "a review proposes what the key used"

var reviewFaults = map[string]planted{
	"every scope was asked for": {
		review(func(body map[string]any) {
			for _, scope := range body["scopes"].([]any) {
				scope.(map[string]any)["last_asked_on"] = "2026-11-29"
			}
		}), reviewCheck, "was asked for on 2026-11-29",
	},
	"no network is known": {
		review(func(body map[string]any) { body["networks"] = []any{} }), reviewCheck, "it was used from [], want 192.0.2.0/24",
	},
	"refused calls show networks": {
		review(func(body map[string]any) {
			if networks := body["networks"].([]any); len(networks) > 0 {
				body["networks"] = append(networks, map[string]any{"network": "198.51.100.0/24", "last_used_on": "2026-11-29"})
			}
		}), reviewCheck, "198.51.100.0/24",
	},
	"a narrow key should be narrower": {
		review(func(body map[string]any) { body["proposal"] = map[string]any{"scopes": []any{}} }),
		reviewCheck, "of a new key: proposal is {",
	},
	"nothing is proposed": {
		review(func(body map[string]any) { delete(body, "proposal") }), reviewCheck, "of a key that was used: proposal is nothing",
	},
	"a proposal without scopes": {
		review(func(body map[string]any) {
			if proposal, ok := body["proposal"].(map[string]any); ok {
				delete(proposal, "scopes")
			}
		}), reviewCheck, "of a key that was used: proposal is {",
	},
}

// review makes a fault of reviews.
func review(change func(body map[string]any)) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		if strings.HasSuffix(r.URL.Path, "/review") && a.Code == http.StatusOK {
			rewrite(a, change)
		}
	})
}
