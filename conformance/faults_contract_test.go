//go:build full

package conformance_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
)

// contractFaults are about the answers of the first five operations.
var contractFaults = map[string]planted{
	"creation returns 200": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			if a.Code == http.StatusCreated {
				a.Code = http.StatusOK
			}
		}),
		"a key is created with its secret", "status 200 is not documented for createApiKey",
	},
	"a required property is missing": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isOne(r) && a.Code == http.StatusOK {
				rewrite(a, func(body map[string]any) { delete(body, "prefix") })
			}
		}),
		"a key is created with its secret", `property "prefix" is missing`,
	},
	"an undeclared property": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isOne(r) && a.Code == http.StatusOK {
				rewrite(a, func(body map[string]any) { body["hash"] = "…" })
			}
		}),
		"a key is created with its secret", "property /hash is not in the contract",
	},
	"an invalid date": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			if a.Code < 300 {
				rewrite(a, func(body map[string]any) {
					if body["created_at"] != nil {
						body["created_at"] = "2026-11-23 12:00:00"
					}
				})
			}
		}),
		"a key is created with its secret", "created_at",
	},
	"a date with an offset": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			if a.Code < 300 {
				rewrite(a, func(body map[string]any) {
					if text, ok := body["expires_at"].(string); ok {
						body["expires_at"] = strings.Replace(text, "Z", "+00:00", 1)
					}
				})
			}
		}),
		"times are kept in milliseconds", "expires_at",
	},
	"the secret in every list": {
		leakingSecrets, "revoked keys stay in the list", "the answer contains the secret of a key",
	},
	"an error that shows the key it was sent": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if a.Code == http.StatusNotFound {
				rewrite(a, func(body map[string]any) { body["message"] = "no key " + r.URL.Path })
			}
		}),
		"an impossible name is not found", "the answer contains the secret of a key",
	},
	"500 on unusual input": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if strings.Contains(r.URL.Path, "\x00") {
				a.Code = http.StatusInternalServerError
			}
		}),
		"an impossible name is not found", "no request may cause a server error",
	},
	"a revoked key is still accepted": {
		staleAuthentication, "a revoked key is refused at once", "status 200, want 401",
	},
	"a key appears on two pages": {
		overlappingPages, "pages list every key once", "walking the pages of 3 finds",
	},
	"a list is oldest first": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isList(r) {
				rewrite(a, func(body map[string]any) {
					data, _ := body["data"].([]any)
					for i, j := 0, len(data)-1; i < j; i, j = i+1, j-1 {
						data[i], data[j] = data[j], data[i]
					}
				})
			}
		}),
		"pages list every key once", "not newest first",
	},
	"an error that is not JSON": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			if a.Code == http.StatusMethodNotAllowed {
				a.Header().Set("Content-Type", "text/plain")
				a.Body = bytes.NewBufferString("Method Not Allowed\n")
			}
		}),
		"an unknown method is a JSON 405", "the body is not JSON",
	},
	"an error with another status in its body": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			if a.Code == http.StatusConflict {
				rewrite(a, func(body map[string]any) { body["status"] = 400 })
			}
		}),
		"a name is taken until its key is revoked", "the body says status 400",
	},
	"an answer may be cached": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Del("Cache-Control") }),
		"answers keep the headers", `Cache-Control is "", want no-store`,
	},
	"401 without a challenge": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Del("WWW-Authenticate") }),
		"answers keep the headers", "401 without WWW-Authenticate",
	},
	"a message that names no field": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			if a.Code == http.StatusBadRequest {
				rewrite(a, func(body map[string]any) { body["message"] = "bad request" })
			}
		}),
		"page and items_per_page are whole numbers", "does not name",
	},
	"a path that is decoded twice": {
		decodingTwice, "a key is found only by its exact name", "want",
	},
	"a required scope is not checked": {
		withoutScopes, "every operation refuses a key without its scope", "want 403",
	},
}

// leakingSecrets remembers the secrets that it sees and adds them to lists.
func leakingSecrets() fault {
	var secrets sync.Map
	return fault{after: func(_ http.Handler, _ *http.Request, a *httptest.ResponseRecorder) {
		rewrite(a, func(body map[string]any) {
			if secret, ok := body["secret"]; ok {
				secrets.Store(body["id"], secret)
			}
			data, _ := body["data"].([]any)
			for _, item := range data {
				key, _ := item.(map[string]any)
				if secret, ok := secrets.Load(key["id"]); ok {
					key["secret"] = secret
				}
			}
		})
	}}
}

// staleAuthentication keeps answering requests of a key that it accepted once.
func staleAuthentication() fault {
	var seen sync.Map
	return fault{after: func(_ http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
		if !isOne(r) {
			return
		}
		id := r.Header.Get("X-Api-Key") + r.URL.Path
		if a.Code == http.StatusOK {
			seen.Store(id, a.Body.Bytes())
		} else if body, ok := seen.Load(id); ok && a.Code == http.StatusUnauthorized {
			a.Code, a.Body = http.StatusOK, bytes.NewBuffer(body.([]byte))
		}
	}}
}

// overlappingPages starts each page with the last key of the previous page.
func overlappingPages() fault {
	return fault{after: func(service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		if !isList(r) || a.Code != http.StatusOK || page < 2 {
			return
		}
		before := r.Clone(r.Context())
		before.URL.RawQuery = strings.Replace(r.URL.RawQuery, "page="+strconv.Itoa(page),
			"page="+strconv.Itoa(page-1), 1)
		other := httptest.NewRecorder()
		service.ServeHTTP(other, before)
		var last struct{ Data []any }
		if json.Unmarshal(other.Body.Bytes(), &last) != nil || len(last.Data) == 0 {
			return
		}
		rewrite(a, func(body map[string]any) {
			if data, _ := body["data"].([]any); len(data) > 0 {
				data[0] = last.Data[len(last.Data)-1]
			}
		})
	}}
}

// decodingTwice serves a%252Fb as if it were a%2Fb.
func decodingTwice() fault {
	return fault{after: func(service http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
		if !strings.Contains(r.URL.EscapedPath(), "%25") {
			return
		}
		again := r.Clone(r.Context())
		again.URL.RawPath = strings.ReplaceAll(r.URL.EscapedPath(), "%25", "%")
		again.URL.Path = strings.NewReplacer("%2F", "/", "%252F", "%2F").Replace(r.URL.Path)
		*a = *httptest.NewRecorder()
		service.ServeHTTP(a, again)
	}}
}

// withoutScopes turns a refusal because of a missing scope into a success.
func withoutScopes() fault {
	return fault{after: func(_ http.Handler, _ *http.Request, a *httptest.ResponseRecorder) {
		if a.Code == http.StatusForbidden {
			a.Code = http.StatusOK
			a.Body = bytes.NewBufferString(`{"data":[],"pagination":{"total_pages":0,"current_page":1,"items_per_page":20}}`)
		}
	}}
}
