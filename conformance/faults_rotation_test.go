//go:build full

package conformance_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"apikeyd/apikey"
)

const sealedCheck = "a secret that is sealed to a recipient"

var rotationFaults = map[string]planted{
	"a secret that was replaced is still accepted": {
		staleAuthentication, "a rotation ends the old secret at once", "status 200, want 401",
	},
	"a rotation changes the prefix": {
		rotated(func(body map[string]any) { body["prefix"] = "ak_00000000" }),
		"a rotation ends the old secret at once", "rotating with",
	},
	"a rotation changes the id": {
		rotated(func(body map[string]any) { body["id"] = apikey.NewID().String() }),
		"a rotation ends the old secret at once", "rotating with",
	},
	"a rotation drops the metadata": {
		rotated(func(body map[string]any) { body["metadata"] = map[string]any{} }),
		"a rotation ends the old secret at once", "rotating with",
	},
	"a rotation requires a body": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isRotation(r) && len(sentText(r)) == 0 {
				refuse(a, http.StatusBadRequest)
			}
		}),
		"a rotation ends the old secret at once", "status 400, want 200",
	},
	"a grace that is ignored": {
		sentBodies(isRotation, func(body map[string]any) { body["grace_seconds"] = 0 }),
		"a grace keeps the old secret valid", "(with the old secret in its grace): status 401, want 200",
	},
	"a grace that is twice as long": {
		sentBodies(isRotation, func(body map[string]any) {
			seconds, _ := body["grace_seconds"].(float64)
			body["grace_seconds"] = 2 * seconds
		}),
		"a grace keeps the old secret valid", "a grace of 10m0s",
	},
	"an older secret outlives the next rotation": {
		staleAuthentication, "a grace keeps the old secret valid",
		"(with the secret whose grace the rotation ended): status 200, want 401",
	},
	"grace_ends_at is missing": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			rewrite(a, func(body map[string]any) { delete(body, "grace_ends_at") })
		}),
		"a grace keeps the old secret valid", "ends at nothing",
	},
	"a revocation leaves the old secret": {
		staleAuthentication, "a revocation ends both secrets",
		"(with the old secret of a revoked key): status 200, want 401",
	},
	"a conflict has another code": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			if a.Code == http.StatusConflict {
				rewrite(a, func(body map[string]any) { body["code"] = "NAME_TAKEN" })
			}
		}),
		"a revocation ends both secrets", "code NAME_TAKEN, want KEY_REVOKED",
	},
	"a key rotates one with more scopes": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isRotation(r) && a.Code == http.StatusForbidden {
				*a = *ask(service, admin, http.MethodPost, r.URL.EscapedPath(), "")
			}
		}),
		"a key cannot change, rotate or revoke", "status 200, want 403",
	},
	"another owner's key is rotated": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isRotation(r) && a.Code == http.StatusNotFound {
				*a = *ask(service, admin, http.MethodPost, r.URL.EscapedPath(), "")
			}
		}),
		"another owner's keys are not found", "/rotate (another owner's key): status 200, want 404",
	},
	"a key cannot rotate itself": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			secret, _ := apikey.ParseSecret(r.Header.Get("X-Api-Key"))
			if isRotation(r) && strings.Contains(r.URL.Path, secret.ID().String()) {
				refuse(a, http.StatusForbidden)
			}
		}),
		"a key can rotate itself", "status 403, want 200",
	},
	"all concurrent rotations succeed": {
		withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isRotation(r) && a.Code >= 400 {
				*a = *ask(service, admin, http.MethodGet, strings.TrimSuffix(r.URL.EscapedPath(), "/rotate"), "")
				rewrite(a, func(body map[string]any) { body["secret"] = rand.Text() })
			}
		}),
		"of concurrent rotations by one secret, one succeeds", "8 succeeded, want 1",
	},
	"a rotation returns a secret that does not work": {
		rotated(func(body map[string]any) { body["secret"] = rand.Text() }),
		"of the secrets from concurrent rotations", "showed 0 work, want 1",
	},
	"a grace of any length": {
		sentBodies(isRotation, func(body map[string]any) {
			if seconds, _ := body["grace_seconds"].(float64); seconds > 604800 {
				body["grace_seconds"] = 604800
			}
		}),
		"grace_seconds is a whole number up to 7 days", "(a second more than 7 days): status 404, want 400",
	},
	"a sealed secret in clear too": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			rewrite(a, func(body map[string]any) {
				if body["sealed_secret"] != nil {
					body["secret"] = apikey.NewSecret("ak", apikey.NewID()).Reveal()
				}
			})
		}), sealedCheck, "shows the secret in clear",
	},
	"a recipient that is ignored": {
		sentBodies(isRotation, func(body map[string]any) { delete(body, "recipient") }), sealedCheck, "sealed_secret cannot be opened",
	},
	"a secret sealed to another": {
		sentBodies(isRotation, func(body map[string]any) {
			if body["recipient"] != nil {
				body["recipient"] = "age1ggyq62qsv84jd87gd3x6umzm8jm8wcy442hu0y5pk050v9jjgezqhjwwgn"
			}
		}), sealedCheck, "cannot be opened: the secret was sealed to the public key of another identity",
	},
}

// rotated makes a fault that changes the answers of rotations.
func rotated(change func(body map[string]any)) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		if isRotation(r) && a.Code == http.StatusOK {
			rewrite(a, change)
		}
	})
}

var leakFaults = map[string]planted{
	"a leak report is ignored": {
		sentBodies(isLeakReport, func(body map[string]any) { body["key"] = "nothing" }),
		"a report of a key's secret revokes", "(after it was reported): status 200, want 401",
	},
	"a leak report needs a key": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isLeakReport(r) && r.Header.Get("X-Api-Key") == "" {
				refuse(a, http.StatusUnauthorized)
			}
		}),
		"a report of a key's secret revokes", "status 401, want 202",
	},
	"a report of an old secret revokes its key": {
		endingKeys(1), "a report of an old secret ends its grace", "(after the old one was reported): status 401, want 200",
	},
	"a report of an ended secret revokes its key": {
		endingKeys(2), "a report of an old secret ends its grace",
		"(after a secret that ended was reported): status 401, want 200",
	},
	"a report of an old secret is ignored": {
		sentBodies(isLeakReport, func(body map[string]any) { body["key"] = "nothing" }),
		"a report of an old secret ends its grace", "(after it was reported): status 200, want 401",
	},
	"a report without effect gets another answer": {
		uselessReports(func(a *httptest.ResponseRecorder) {
			rewrite(a, func(body map[string]any) { body["message"] = "That is no key." })
		}),
		"a report of an unknown secret", "a report that helps is answered",
	},
	"a report without effect is not found": {
		uselessReports(func(a *httptest.ResponseRecorder) { refuse(a, http.StatusNotFound) }),
		"a report of an unknown secret", "status 404, want 202",
	},
	"unsigned scans are received": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isScan(r) {
				a.Code, a.Body = http.StatusOK, bytes.NewBufferString("[]")
			}
		}),
		"GitHub's secret scanning takes nothing", "status 200, want 401",
	},
	"unsigned scans end keys": {
		answers(func(service http.Handler, r *http.Request, _ *httptest.ResponseRecorder) {
			var finds []struct{ Token string }
			if isScan(r) && json.Unmarshal(sentText(r), &finds) == nil {
				ask(service, r, http.MethodPost, "/v1/leaked-keys", `{"key":"`+finds[0].Token+`"}`)
			}
		}),
		"GitHub's secret scanning takes nothing", "(after it was reported without a signature): status 401, want 200",
	},
	"the path of secret scanning is missing": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isScan(r) {
				refuse(a, http.StatusNotFound)
			}
		}),
		"GitHub's secret scanning takes nothing", "code REFUSED, want SCANNING_OFF",
	},
	"reports are never throttled": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isLeakReport(r) && a.Code == http.StatusTooManyRequests {
				*a = *httptest.NewRecorder()
				a.Code = http.StatusAccepted
			}
		}),
		"reports without effect are throttled", "were not throttled",
	},
	"useless reports block effective ones": {
		noisy, "reports without effect are throttled", "amid noise): status 429, want 202",
	},
	"throttled without Retry-After": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Del("Retry-After") }),
		"reports without effect are throttled", `Retry-After is ""`,
	},
	"an unknown property of a report is ignored": {
		sentBodies(isLeakReport, func(body map[string]any) { delete(body, "url") }),
		"an invalid report is refused", "(an unknown property): status 202, want 400",
	},
}

// endingKeys revokes a key when one of its secrets was reported this many times.
func endingKeys(times int) func() fault {
	return func() fault {
		var mu sync.Mutex
		reported := make(map[string]int)
		again := withAdmin(func(admin *http.Request, service http.Handler, r *http.Request, _ *httptest.ResponseRecorder) {
			text, _ := sentJSON(r)["key"].(string)
			secret, err := apikey.ParseSecret(text)
			if !isLeakReport(r) || err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if reported[text]++; reported[text] == times {
				ask(service, admin, http.MethodDelete, "/v1/api-keys/"+secret.ID().String(), "")
			}
		})
		return again()
	}
}

// uselessReports changes the answers to reports of malformed secrets.
func uselessReports(change func(*httptest.ResponseRecorder)) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		text, _ := sentJSON(r)["key"].(string)
		if _, err := apikey.ParseSecret(text); isLeakReport(r) && a.Code == http.StatusAccepted && err != nil {
			change(a)
		}
	})
}

// noisy refuses every report after the first refusal.
func noisy() fault {
	var mu sync.Mutex
	var refused *httptest.ResponseRecorder
	return fault{after: func(_ http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case !isLeakReport(r):
		case refused == nil && a.Code == http.StatusTooManyRequests:
			refused = a
		case refused != nil:
			*a = *refused
		}
	}}
}

var metadataFaults = map[string]planted{
	"metadata is merged": {
		func() fault {
			return fault{before: func(service http.Handler, r *http.Request) {
				body := sentJSON(r)
				wanted, ok := body["metadata"].(map[string]any)
				if !isPatch(r) || !ok {
					return
				}
				var key struct{ Metadata map[string]any }
				_ = json.Unmarshal(ask(service, r, http.MethodGet, r.URL.EscapedPath(), "").Body.Bytes(), &key)
				for name, value := range key.Metadata {
					if _, set := wanted[name]; !set {
						wanted[name] = value
					}
				}
				text, _ := json.Marshal(body) // it came from JSON
				setBody(r, string(text))
			}}
		},
		"metadata is stored unchanged", "replacing it by one entry: metadata is",
	},
	"an empty value is dropped": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			rewrite(a, func(body map[string]any) {
				metadata, _ := body["metadata"].(map[string]any)
				for name, value := range metadata {
					if value == "" {
						delete(metadata, name)
					}
				}
			})
		}),
		"metadata is stored unchanged", "a new key: metadata is",
	},
	"null clears metadata": {
		sentBodies(func(*http.Request) bool { return true }, func(body map[string]any) {
			if metadata, ok := body["metadata"]; ok && metadata == nil {
				body["metadata"] = map[string]any{}
			}
		}),
		"metadata has at most 20 entries", "(metadata: null): status",
	},
	"a value that is too long is truncated": {
		sentBodies(func(*http.Request) bool { return true }, func(body map[string]any) {
			metadata, _ := body["metadata"].(map[string]any)
			if text, ok := metadata["plan"].(string); ok && len([]rune(text)) > 500 {
				metadata["plan"] = string([]rune(text)[:500])
			}
		}),
		"metadata has at most 20 entries", "(metadata: a value of 501 characters): status",
	},
}
