//go:build full

package conformance_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
)

const (
	matchCheck   = "a change with the ETag of an earlier state is refused, and one with the current ETag is made"
	stateCheck   = "the ETag changes with the key, and not with its use"
	rotatedCheck = "rotated_at is when the key was last rotated"
)

var etagFaults = map[string]planted{
	"If-Match is ignored": {
		requests(func(r *http.Request) { r.Header.Del("If-Match") }), matchCheck, "status 200, want 412",
	},
	"a weak ETag matches": {
		requests(func(r *http.Request) {
			if tag := r.Header.Get("If-Match"); len(tag) > 2 && tag[:2] == "W/" {
				r.Header.Set("If-Match", tag[2:])
			}
		}), matchCheck, "status 200, want 412",
	},
	"every If-Match is refused": {
		requests(func(r *http.Request) {
			if r.Header.Get("If-Match") != "" {
				r.Header.Set("If-Match", `"never"`)
			}
		}), matchCheck, "status 412, want 200",
	},
	"a stale ETag has another code": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			if a.Code == http.StatusPreconditionFailed {
				rewrite(a, func(body map[string]any) { body["code"] = "CONFLICT" })
			}
		}), matchCheck, "want KEY_CHANGED",
	},
	"each answer has another ETag": {
		func() fault {
			var count atomic.Int64
			return always(func(_ *http.Request, a *httptest.ResponseRecorder) {
				if a.Header().Get("ETag") != "" {
					a.Header().Set("ETag", `"`+string(rune('a'+count.Add(1)%26))+`"`)
				}
			})()
		}, stateCheck, "after the key was used",
	},
	"the ETag never changes": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			if a.Header().Get("ETag") != "" {
				a.Header().Set("ETag", `"always"`)
			}
		}), stateCheck, "when the key is read",
	},
	"rotated_at is missing": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			rewrite(a, func(body map[string]any) { delete(body, "rotated_at") })
		}), rotatedCheck, "rotated_at is nothing",
	},
	"a new key has rotated_at": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isCreation(r) {
				rewrite(a, func(body map[string]any) { body["rotated_at"] = body["created_at"] })
			}
		}), rotatedCheck, "a new key has rotated_at",
	},
}
