//go:build full

package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
)

// throttlingFaults are services that throttle the wrong clients or do not say for how long.
var throttlingFaults = map[string]planted{
	"an address with many failures is locked out": {
		make: func() fault {
			failures := 0
			return fault{after: func(_ http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
				switch {
				case a.Code == http.StatusUnauthorized && strings.HasPrefix(r.Header.Get("X-Api-Key"), "ak_"):
					failures++
				case failures > 15 && a.Code == http.StatusOK:
					refuse(a, http.StatusTooManyRequests)
				}
			}}
		},
		check:   "a valid key passes despite many failures from its address",
		finding: "status 429, want 200",
	},
	"a throttled failure has no Retry-After": {
		make: func() fault {
			return fault{after: func(_ http.Handler, _ *http.Request, a *httptest.ResponseRecorder) {
				if a.Code == http.StatusUnauthorized {
					rewrite(a, func(body map[string]any) { body["code"], body["status"] = "TOO_MANY_REQUESTS", 429 })
					a.Code = http.StatusTooManyRequests
				}
			}}
		},
		check:   "every operation refuses an unknown key",
		finding: "Retry-After",
	},
}
