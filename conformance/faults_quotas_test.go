//go:build full

package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

var quotaFaults = map[string]planted{
	"a quota is not enforced": {
		verified(func(_, body map[string]any) {
			if body["code"] == "QUOTA_EXCEEDED" {
				body["code"], body["valid"] = "VALID", true
				delete(body, "retry_after_seconds")
			}
		}),
		"a call that costs more than is left is QUOTA_EXCEEDED", "code VALID, valid true, want QUOTA_EXCEEDED",
	},
	"over the quota without retry_after_seconds": {
		verified(func(_, body map[string]any) {
			if body["code"] == "QUOTA_EXCEEDED" {
				delete(body, "retry_after_seconds")
			}
		}),
		"a call that costs more than is left is QUOTA_EXCEEDED", "retry_after_seconds is nothing",
	},
	"the state of a quota is left out": {
		verified(func(_, body map[string]any) { delete(body, "quota") }),
		"a call that costs more than is left is QUOTA_EXCEEDED", "quota is nothing, want 9 left",
	},
	"the usage does not say what is left": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if strings.HasSuffix(r.URL.Path, "/usage") {
				rewrite(a, func(body map[string]any) { delete(body, "quota") })
			}
		}),
		"a call that costs more than is left is QUOTA_EXCEEDED", "(over the quota): quota is nothing, want 0 left",
	},
	"a cost is ignored": {
		sentBodies(isVerify, func(body map[string]any) { delete(body, "cost") }),
		"a call that costs more than is left is QUOTA_EXCEEDED", "want 5 left",
	},
	"a cost of 0 costs 1": {
		sentBodies(isVerify, func(body map[string]any) {
			if body["cost"] == 0.0 {
				body["cost"] = 1
			}
		}),
		"a call that costs more than is left is QUOTA_EXCEEDED", "(a free call): code QUOTA_EXCEEDED",
	},
	"a cost below 0 is accepted": {
		sentBodies(isVerify, func(body map[string]any) {
			if body["cost"] == -1.0 {
				body["cost"] = 0
			}
		}),
		"a cost is a whole number", "(cost: below 0): status 200, want 400",
	},
	"a malformed cost is ignored by forward-auth": {
		forwarded(func(r *http.Request) { r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "cost=x", "") }),
		"a cost is a whole number", "status 200, want 403",
	},
	"refused calls use up the quota": {
		answers(func(service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if secret, _ := sentJSON(r)["key"].(string); isVerify(r) && strings.Contains(a.Body.String(), "INSUFFICIENT_SCOPE") {
				ask(service, r, http.MethodPost, "/v1/verify", `{"key":"`+secret+`"}`)
			}
		}),
		"only calls that pass use up a quota", "want 10 left",
	},
	"introspection uses up the quota": {
		answers(func(service http.Handler, r *http.Request, _ *httptest.ResponseRecorder) {
			if form, _ := url.ParseQuery(string(sentText(r))); isIntrospection(r) {
				ask(service, r, http.MethodPost, "/v1/verify", `{"key":"`+form.Get("token")+`"}`)
			}
		}),
		"only calls that pass use up a quota", "want 10 left",
	},
	"the rate limit takes precedence over the quota": {
		verified(func(_, body map[string]any) {
			if key, _ := body["key"].(map[string]any); body["code"] == "QUOTA_EXCEEDED" && key["rate_limit"] != nil {
				body["code"] = "RATE_LIMITED"
			}
		}),
		"only calls that pass use up a quota", "code RATE_LIMITED, valid false, want QUOTA_EXCEEDED",
	},
	"a changed quota forgets what was used": {
		func() fault {
			var changed atomic.Bool
			return fault{after: func(_ http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
				if sentJSON(r)["quota"] != nil && isPatch(r) {
					changed.Store(true)
				}
				if isVerify(r) && changed.Load() {
					rewrite(a, func(body map[string]any) {
						if state, _ := body["quota"].(map[string]any); state != nil {
							state["remaining"] = 11
						}
					})
				}
			}}
		},
		"a changed quota keeps what was used", "want 3 left",
	},
	"any key may set a quota": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if _, set := sentJSON(r)["quota"]; set && a.Code == http.StatusForbidden {
				*a = *ask(service, admin, r.Method, r.URL.EscapedPath(), string(sentText(r)))
			}
		}),
		"only keys:admin sets a quota", "status 200, want 403",
	},
	"a new key does not inherit the quota": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if _, set := sentJSON(r)["quota"]; isCreation(r) && !set {
				rewrite(a, func(body map[string]any) { delete(body, "quota") })
			}
		}),
		"only keys:admin sets a quota", "the child of a key with a quota: quota is nothing",
	},
	"null does not remove the quota": {
		sentBodies(isPatch, func(body map[string]any) {
			if quota, ok := body["quota"]; ok && quota == nil {
				delete(body, "quota")
			}
		}),
		"a quota is stored, changed and removed", "(taking it away): quota is {",
	},
	"the day of a period is forgotten": {
		sentBodies(isPatch, func(body map[string]any) {
			if quota, _ := body["quota"].(map[string]any); quota != nil {
				delete(quota, "starts_on")
			}
		}),
		"a quota is stored, changed and removed", `"starts_on":1}`,
	},
	"a quota for a year is accepted": {
		sentBodies(isPatch, func(body map[string]any) {
			if quota, _ := body["quota"].(map[string]any); quota["period"] == "year" {
				quota["period"] = "month"
			}
		}),
		"a quota consists of a whole number", "status 404, want 400",
	},
	"the last cost counts at forward-auth": {
		forwarded(func(r *http.Request) {
			if i := strings.LastIndex(r.URL.RawQuery, "cost="); i >= 0 {
				r.URL.RawQuery = r.URL.RawQuery[i:]
			}
		}),
		"forward-auth answers 403 or 429 over the quota", "want 5 left",
	},
	"over the quota, rate_limited is ignored": {
		forwarded(func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "rate_limited=429", "", 1) }),
		"forward-auth answers 403 or 429 over the quota", "status 403, want 429",
	},
	"over the quota without Retry-After": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Del("Retry-After") }),
		"forward-auth answers 403 or 429 over the quota", `Retry-After is ""`,
	},
	"over the quota without RateLimit": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Del("RateLimit") }),
		"forward-auth answers 403 or 429 over the quota", `RateLimit is ""`,
	},
	"a used-up quota is not reported": {
		events(func(all []any) []any {
			return slices.DeleteFunc(all, func(event any) bool { return event.(map[string]any)["action"] == "quota_reached" })
		}),
		"a call that costs more than is left", "made 0 events in 5 s, want 1",
	},
	"a used-up quota is reported twice": {
		events(func(all []any) []any {
			if all[0].(map[string]any)["action"] == "quota_reached" {
				return append(all, all[0])
			}
			return all
		}),
		"a call that costs more than is left", "made 2 events in 5 s, want 1",
	},
	"a notice does not say what of": {
		eachEvent(func(event map[string]any) {
			if event["action"] == "quota_reached" {
				event["changes"] = map[string]any{}
			}
		}),
		"a call that costs more than is left", `the event of a quota that is used up is {"action"`,
	},
}
