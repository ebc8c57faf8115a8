//go:build full

package conformance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
)

// deploymentFaults are servers with another contract, and proxies that change what they pass on.
var deploymentFaults = map[string]planted{
	"a contract without a property": {
		contract(func(c map[string]any) { delete(properties(c, "ApiKeyResponse"), "metadata") }),
		"the server's own contract", "the server's contract lacks the property metadata of answers: DELETE /v1/api-keys/{key_name}",
	},
	"a contract with another property": {
		contract(func(c map[string]any) { properties(c, "ApiKeyCreate")["colour"] = map[string]any{"type": "string"} }),
		"the server's own contract", "only the server's contract has the property colour of requests: POST /v1/api-keys",
	},
	"a contract with another value": {
		contract(func(c map[string]any) {
			status := schema(c, "ApiKeyStatus")
			status["enum"] = append(status["enum"].([]any), "SUSPENDED")
		}),
		"the server's own contract", "only the server's contract has the value SUSPENDED of the query parameter status: GET /v1/api-keys",
	},
	"a contract without an operation": {
		contract(func(c map[string]any) { delete(c["paths"].(map[string]any), "/v1/summary") }),
		"the server's own contract", "the server's contract lacks an operation: GET /v1/summary",
	},
	"a contract with another required property": {
		contract(func(c map[string]any) { schema(c, "ApiKeyCreate")["required"] = []any{"name", "expires_at", "owner"} }),
		"the server's own contract", "only the server's contract has the rule that owner is required in requests",
	},
	"a contract of another version": {
		contract(func(c map[string]any) {
			c["info"].(map[string]any)["version"] = "0.9.0"
			delete(c["paths"].(map[string]any), "/v1/usage")
		}),
		"the server's own contract", "the server's contract is version 0.9.0, this program's 1.",
	},
	"answers without X-Request-Id": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Del("X-Request-Id") }),
		"answers keep the headers", `X-Request-Id is ""`,
	},
	"X-Request-Id of another program": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) { a.Header().Set("X-Request-Id", "0123456789") }),
		"answers keep the headers", "a proxy in front of the server seems to have replaced it",
	},
	"a proxy lets answers be cached": {
		always(func(_ *http.Request, a *httptest.ResponseRecorder) {
			a.Header().Set("Server", "nginx/1.22.1")
			a.Header().Set("Cache-Control", "max-age=60")
		}),
		"answers keep the headers", "a proxy in front of the server (Server: nginx/1.22.1) may have changed it",
	},
	"a proxy decodes paths":          {rewritten(decoded), "paths and queries reach", "it decodes %2F"},
	"a proxy decodes twice":          {rewritten(func(path string) string { return strings.ReplaceAll(path, "%25", "%") }), "paths and queries reach", "it decodes %25"},
	"a proxy encodes again":          {rewritten(func(path string) string { return strings.ReplaceAll(path, "%", "%25") }), "paths and queries reach", "it encodes % again"},
	"a proxy merges slashes":         {rewritten(func(path string) string { return strings.ReplaceAll(path, "//", "/") }), "paths and queries reach", "it merges slashes"},
	"a proxy resolves dots":          {rewritten(resolved), "paths and queries reach", "it resolves .. in paths"},
	"a decoded name is not found":    {rewritten(decoded), "a key is found only by its exact name", "a proxy in front of the server seems to have decoded %2F"},
	"a proxy answers odd paths":      {page(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "//") }, 400), "paths and queries reach", "it refuses the path"},
	"a proxy drops parts of queries": {requests(func(r *http.Request) { r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, ";x=2", "") }), "paths and queries reach", "it drops a part of queries"},
	"a proxy refuses large bodies": {
		page(func(r *http.Request) bool { return r.ContentLength > 10_000 }, http.StatusRequestEntityTooLarge),
		"bodies over 64 KiB", `a proxy in front of the server seems to have answered: status 413 with the page "413 Request Entity Too Large", ` +
			"without X-Request-Id (Server: nginx/1.22.1); let it pass bodies of more than 64 KiB",
	},
	"a proxy refuses methods": {
		page(func(r *http.Request) bool { return r.Method == http.MethodTrace }, http.StatusMethodNotAllowed),
		"an unknown method is a JSON 405", "it refuses the method",
	},
	"a proxy loses its server": {
		page(isPatch, http.StatusBadGateway), "an update changes only", "it gets no answer from apikeyd",
	},
	"a proxy sends callers to a page": {
		page(isPatch, http.StatusFound), "an update changes only", "status 302",
	},
	"a proxy removes Authorization": {
		requests(func(r *http.Request) { r.Header.Del("Authorization") }),
		"a bearer token works like", "a proxy in front of the server seems to have removed Authorization",
	},
	"an example of a body is refused": {
		answers(func(_ http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if sent := sentJSON(r); isCreation(r) && sent["metadata"] != nil {
				refuse(a, http.StatusBadRequest)
			}
		}),
		"the contract's examples of request bodies", "POST /v1/api-keys (the contract's example verifiedOnly): status 400, want 201",
	},
	"an example of a form is refused": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if isIntrospection(r) {
				refuse(a, http.StatusBadRequest)
			}
		}),
		"the contract's examples of request bodies", "POST /v1/introspect (the contract's example token): status 400, want 200",
	},
	"an example of a parameter is refused": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if r.URL.Query().Has("rotating") {
				refuse(a, http.StatusBadRequest)
			}
		}),
		"the contract's examples of query parameters", "GET /v1/api-keys?rotating=true (the contract's example): status 400",
	},
	"a creation without Location": {
		location(func(*http.Request, string) string { return "" }), "Location leads to the new key", `Location is "", want`,
	},
	"Location of another key": {
		location(func(*http.Request, string) string { return "/v1/api-keys/01a226f6-6d65-7e21-8fa2-15e132faedc0" }),
		"Location leads to the new key", `Location is "/v1/api-keys/01a226f6`,
	},
	"Location with the name of the server inside": {
		location(func(_ *http.Request, path string) string { return "http://apikeyd:8080" + path }),
		"Location leads to the new key", "leads to http://apikeyd:8080/v1/api-keys/",
	},
	"HEAD works like GET": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if r.Method == http.MethodHead {
				a.Code = http.StatusOK
			}
		}),
		"HEAD is a 405", "HEAD /v1/api-keys: status 200, want 405",
	},
	"HEAD of the contract fails": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if r.Method == http.MethodHead && r.URL.Path == "/openapi.json" {
				a.Code = http.StatusMethodNotAllowed
			}
		}),
		"HEAD is a 405", "HEAD /openapi.json: status 405",
	},
	"HEAD without Allow": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if r.Method == http.MethodHead {
				a.Header().Del("Allow")
			}
		}),
		"HEAD is a 405", `Allow is ""`,
	},
	"OPTIONS needs a key": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if r.Method == http.MethodOptions {
				refuse(a, http.StatusUnauthorized)
			}
		}),
		"OPTIONS is a 204", "OPTIONS /v1/api-keys: status 401, want 204",
	},
	"OPTIONS lacks a method": {
		always(func(r *http.Request, a *httptest.ResponseRecorder) {
			if r.Method == http.MethodOptions {
				a.Header().Set("Allow", "OPTIONS, GET")
			}
		}),
		"OPTIONS is a 204", `Allow is "OPTIONS, GET", want GET and POST in it`,
	},
}

// contract changes the contract that the server shows.
func contract(change func(contract map[string]any)) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		if r.URL.Path == "/openapi.json" {
			rewrite(a, change)
		}
	})
}

func schema(contract map[string]any, name string) map[string]any {
	return contract["components"].(map[string]any)["schemas"].(map[string]any)[name].(map[string]any)
}

func properties(contract map[string]any, name string) map[string]any {
	return schema(contract, name)["properties"].(map[string]any)
}

// rewritten makes a fault that changes escaped paths below /v1.
func rewritten(change func(path string) string) func() fault {
	return requests(func(r *http.Request) {
		raw := change(r.URL.EscapedPath())
		if path, err := url.PathUnescape(raw); err == nil {
			r.URL.RawPath, r.URL.Path = raw, path
		}
	})
}

func decoded(path string) string {
	return strings.NewReplacer("%2F", "/", "%2f", "/").Replace(path)
}

func resolved(path string) string {
	if before, rest, found := strings.Cut(path, "/../"); found {
		return before[:strings.LastIndex(before, "/")+1] + rest
	}
	return path
}

// page answers some requests with the page of a proxy.
func page(some func(*http.Request) bool, status int) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		if !some(r) {
			return
		}
		*a = *httptest.NewRecorder()
		a.Code = status
		a.Header().Set("Server", "nginx/1.22.1")
		a.Header().Set("Content-Type", "text/html")
		a.Header().Set("Location", "/sign-in")
		a.Body = bytes.NewBufferString(fmt.Sprintf("<html>\r\n<head><title>%d %s</title></head>\r\n</html>", status, http.StatusText(status)))
	})
}

// location changes Location.
func location(change func(r *http.Request, path string) string) func() fault {
	return always(func(r *http.Request, a *httptest.ResponseRecorder) {
		if path := a.Header().Get("Location"); isCreation(r) && path != "" {
			a.Header().Set("Location", change(r, path))
		}
	})
}

// emptied replaces every value of every answer about keys but the first, which introduces the suite's
// own key, by another one.
func emptied(value any) func() fault {
	return func() fault {
		first := true
		return fault{after: func(_ http.Handler, r *http.Request, a *httptest.ResponseRecorder) {
			if isOne(r) && first {
				first = false
				return
			}
			var body any
			if !strings.HasPrefix(r.URL.Path, "/v1") || a.Code >= 300 || json.Unmarshal(a.Body.Bytes(), &body) != nil {
				return
			}
			text, _ := json.Marshal(empty(body, value)) // it came from JSON
			a.Body = bytes.NewBuffer(text)
		}}
	}
}

// empty replaces the values in a body, except those that let the suite go on.
func empty(body, value any) any {
	object, ok := body.(map[string]any)
	if !ok {
		return value
	}
	for name, inner := range object {
		if name != "id" && name != "secret" {
			object[name] = empty(inner, value)
		}
	}
	return object
}
