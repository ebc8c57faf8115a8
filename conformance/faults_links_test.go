//go:build full

package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
)

func isLink(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/links") }

const linkCheck = "a link opens the console"

var linkFaults = map[string]planted{
	"the secret of a link is in its query": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isLink(r) {
				rewrite(a, func(body map[string]any) {
					if text, is := body["url"].(string); is {
						body["url"] = strings.Replace(text, "#", "?token=", 1)
					}
				})
			}
		}), linkCheck, "whose fragment is the secret",
	},
	"a link can be opened for a day": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isLink(r) {
				rewrite(a, func(body map[string]any) {
					if body["expires_at"] != nil {
						body["expires_at"] = "2099-01-01T00:00:00.000Z"
					}
				})
			}
		}), linkCheck, "want at most 5m0s",
	},
	"a link gives any scope": {
		sentBodies(isLink, func(body map[string]any) { body["scopes"] = []string{"keys:read"} }), linkCheck, "a link for an admin",
	},
	"everybody makes links": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isLink(r) && a.Code == http.StatusForbidden {
				*a = *ask(service, admin, http.MethodPost, r.URL.EscapedPath(), `{"scopes":["keys:read"]}`)
			}
		}), linkCheck, "status 201, want 403",
	},
	"keys are listed as sessions": {
		requests(func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "sessions=true", "sessions=false", 1)
		}),
		linkCheck, "belongs to no session",
	},
}
