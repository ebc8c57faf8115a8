//go:build full

package conformance_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
)

func isWebhook(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v1/webhooks/") }

var webhookFaults = map[string]planted{
	"a webhook's events are forgotten": {
		sentBodies(func(r *http.Request) bool { return isWebhook(r) && isPatch(r) }, func(body map[string]any) { delete(body, "events") }),
		"a webhook is created, changed, listed and deleted", "changing everything: ",
	},
	"a rotation has no grace": {
		sentBodies(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/rotate-secret") }, func(body map[string]any) {
			if body["grace_seconds"] == 3600.0 {
				body["grace_seconds"] = 0
			}
		}),
		"a webhook's secret is shown when it is made", "is not another one beside the old one",
	},
	"no delivery is listed": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if strings.HasSuffix(r.URL.Path, "/deliveries") && a.Code == http.StatusOK {
				a.Body = bytes.NewBufferString(`{"data":[]}`)
			}
		}),
		"a test event is delivered or waits", "want the one of",
	},
	"any URL is taken": {
		sentBodies(func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == "/v1/webhooks" }, func(body map[string]any) {
			body["url"] = "https://conformance.invalid/"
		}),
		"URLs and events that make no sense are refused", "status 201, want 400",
	},
	"everybody sees webhooks": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isWebhook(r) && r.Method == http.MethodGet && a.Code == http.StatusForbidden {
				*a = *ask(service, admin, http.MethodGet, r.URL.EscapedPath(), "")
			}
		}),
		"only keys:admin sees and changes webhooks", "status 200, want 403",
	},
}
