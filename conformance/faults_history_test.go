//go:build full

package conformance_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
)

const historyCheck = "a key's history says what it was"

var historyFaults = map[string]planted{
	"a key has always been what it is": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isHistory(r) && a.Code == http.StatusOK {
				now := ask(service, admin, http.MethodGet, strings.TrimSuffix(r.URL.Path, "/history"), "").Body.String()
				rewrite(a, func(body map[string]any) { body["key"] = json.RawMessage(now) })
			}
		}), historyCheck, "when it was created",
	},
	"a status of today":      {history(func(key map[string]any) { key["status"] = "REVOKED" }), historyCheck, "REVOKED"},
	"metadata of later":      {history(func(key map[string]any) { key["metadata"] = map[string]any{} }), historyCheck, "metadata"},
	"a last use of today":    {history(func(key map[string]any) { key["last_used_at"] = key["created_at"] }), historyCheck, "last_used_at"},
	"rotations do not count": {past(func(body map[string]any) { body["secret_generation"] = 1 }), historyCheck, "secret_generation is 1"},
	"a secret as old as its key": {
		past(func(body map[string]any) { body["secret_since"] = body["key"].(map[string]any)["created_at"] }),
		historyCheck, "the secret was made at",
	},
	"never consistent": {past(func(body map[string]any) { body["consistent"] = false }), historyCheck, "consistent false"},
	"a future is told": {
		withAdmin(func(_ *http.Request, _ http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isHistory(r) && strings.Contains(a.Body.String(), "must not be in the future") {
				a.Code = http.StatusOK
			}
		}), historyCheck, "in the future",
	},
}

func isHistory(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/history") }

// past makes a fault of answers about the past.
func past(change func(body map[string]any)) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		if isHistory(r) && a.Code == http.StatusOK {
			rewrite(a, change)
		}
	})
}

func history(change func(key map[string]any)) func() fault {
	return past(func(body map[string]any) { change(body["key"].(map[string]any)) })
}
