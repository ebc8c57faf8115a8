//go:build full

package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
)

var usageFaults = map[string]planted{
	"a summary of all owners": {
		requests(func(r *http.Request) {
			if r.URL.Path == "/v1/summary" {
				leaveOut(r, "owner")
			}
		}),
		"a summary counts the keys", "want 0",
	},
	"a revoked key is active": {
		summary(func(body map[string]any) {
			body["active"] = body["active"].(float64) + body["revoked"].(float64)
		}),
		"a summary counts the keys", "active is 5, and lists find 4, want 4",
	},
	"an expired key is not counted": {
		summary(func(body map[string]any) { body["expired"] = 0 }), "a summary counts the keys", "expired is 0, and lists find 1",
	},
	"every rotated key counts as rotating": {
		summary(func(body map[string]any) {
			if body["revoked"] == 1.0 {
				body["rotating"] = 3
			}
		}),
		"a summary counts the keys", "rotating is 3, and lists find 1",
	},
	"expired keys count as expiring soon": {
		summary(func(body map[string]any) {
			body["expiring_soon"] = body["expiring_soon"].(float64) + body["expired"].(float64)
		}),
		"a summary counts the keys", "expiring_soon is 5",
	},
	"new keys count as unused": {
		summary(func(body map[string]any) { body["unused"] = body["active"] }), "a summary counts the keys", "unused is 6",
	},
	"empty intervals are left out": {
		usage(func(body map[string]any) {
			body["data"] = slices.DeleteFunc(body["data"].([]any), func(c any) bool { return c.(map[string]any)["valid"] == 0.0 })
		}),
		"usage has every interval", "intervals of 60 seconds",
	},
	"newest first": {
		usage(func(body map[string]any) { slices.Reverse(body["data"].([]any)) }), "usage has every interval", "interval 1 begins at",
	},
	"intervals start now": {
		usage(func(body map[string]any) {
			for _, c := range body["data"].([]any) {
				c := c.(map[string]any)
				c["start"] = strings.Replace(c["start"].(string), ":00.000Z", ":01.000Z", 1)
			}
		}),
		"usage has every interval", "the first interval begins at",
	},
	"refusals do not count": {
		usage(func(body map[string]any) { eachCount(body, func(c map[string]any) { c["refused"] = 0 }) }),
		"each decision about a key is counted", "refused twice: 3 VALID and 0 refused",
	},
	"refusals count as VALID": {
		usage(func(body map[string]any) {
			eachCount(body, func(c map[string]any) {
				c["valid"], c["refused"] = c["valid"].(float64)+c["refused"].(float64), 0
			})
		}),
		"each decision about a key is counted", "refused twice: 5 VALID and 0 refused",
	},
	"everything counts twice": {
		usage(func(body map[string]any) {
			eachCount(body, func(c map[string]any) { c["valid"] = c["valid"].(float64) * 2 })
		}),
		"each decision about a key is counted", "verified once: 2 VALID",
	},
	"gateways do not count": {
		usage(func(body map[string]any) {
			eachCount(body, func(c map[string]any) { c["valid"] = min(c["valid"].(float64), 1) })
		}),
		"each decision about a key is counted", "and by a gateway: 1 VALID",
	},
	"a key's usage is that of all keys": {
		answers(func(service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if strings.HasSuffix(r.URL.Path, "/usage") && strings.HasPrefix(r.URL.Path, "/v1/api-keys/") && a.Code == http.StatusOK {
				a.Body = ask(service, r, http.MethodGet, "/v1/usage", "").Body
			}
		}),
		"each decision about a key is counted", "a wrong secret, and a call of the service: 3 VALID and 3 refused",
	},
	"usage of all owners": {
		requests(func(r *http.Request) {
			if r.URL.Path == "/v1/usage" {
				leaveOut(r, "owner")
			}
		}),
		"an owner's usage covers its keys", "an owner with two keys:",
	},
	"the usage of all owners is empty": {
		usage(func(body map[string]any) { eachCount(body, func(c map[string]any) { c["valid"], c["refused"] = 0, 0 }) }),
		"an owner's usage covers its keys", "the usage of all owners is zero",
	},
	"another owner's usage is readable": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if strings.HasSuffix(r.URL.Path, "/usage") && a.Code == http.StatusNotFound {
				found := ask(service, admin, http.MethodGet, r.URL.String(), "")
				a.Code, a.Body = found.Code, found.Body
			}
		}),
		"another owner's keys are not found", "status 200, want 404",
	},
	"another owner's summary is readable": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if r.URL.Path == "/v1/summary" && a.Code == http.StatusForbidden {
				found := ask(service, admin, http.MethodGet, r.URL.String(), "")
				a.Code, a.Body = found.Code, found.Body
			}
		}),
		"another owner's keys are not found", "another owner's numbers): status 200, want 403",
	},
	"usage accepts any query": {
		requests(func(r *http.Request) {
			if r.URL.Path == "/v1/usage" {
				leaveOut(r, "before")
			}
		}),
		"an invalid query is refused", "?before=2026-11-01T00:00:00Z: status 200, want 400",
	},
	"any number of intervals": {
		requests(func(r *http.Request) {
			if strings.HasPrefix(r.URL.RawQuery, "interval=minute&since=") {
				leaveOut(r, "since")
			}
		}),
		"an invalid query is refused", "?interval=minute&since=2026-11-01T00:00:00Z: status 200, want 400",
	},
	"usage begins a day late": {
		requests(func(r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/usage") && strings.Contains(r.URL.RawQuery, "&until=2026-11-08") {
				r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "since=2026-11-01", "since=2026-11-02", 1)
			}
		}),
		"usage has every interval", "6 intervals of 86400 seconds",
	},
	"intervals are later than asked for": {
		requests(func(r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/usage") {
				r.URL.RawQuery = strings.Replace(strings.Replace(r.URL.RawQuery, "2026-11-01T00", "2026-11-01T01", 1), "T03", "T04", 1)
			}
		}),
		"usage has every interval", "the first interval begins at 2026-11-01 01:00:00",
	},
	"codes are forgotten": {
		usage(func(body map[string]any) {
			eachCount(body, func(c map[string]any) { delete(c["codes"].(map[string]any), "REVOKED") })
		}),
		"each decision about a key is counted", "the codes of an interval are",
	},
	"days begin anew": {
		usage(func(body map[string]any) {
			if body["interval_seconds"] == 86400.0 {
				eachCount(body, func(c map[string]any) { c["valid"], c["refused"], c["codes"] = 9, 0, map[string]any{"VALID": 9} })
			}
		}),
		"each decision about a key is counted", "stored, by the day: 270 VALID",
	},
}

// summary makes a fault that changes summaries.
func summary(change func(body map[string]any)) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		if r.URL.Path == "/v1/summary" && a.Code == http.StatusOK {
			rewrite(a, change)
		}
	})
}

// usage makes a fault that changes usage, of owners and of one key.
func usage(change func(body map[string]any)) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		if strings.HasSuffix(r.URL.Path, "/usage") && a.Code == http.StatusOK {
			rewrite(a, change)
		}
	})
}

func eachCount(body map[string]any, change func(count map[string]any)) {
	for _, c := range body["data"].([]any) {
		change(c.(map[string]any))
	}
}
