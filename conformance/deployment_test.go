package conformance_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"apikeyd/apikey"
	"apikeyd/conformance"
	"apikeyd/gen"
	servertest "apikeyd/internal/testkit/server"
)

// TestNotApikeyd asks addresses where something else answers. None of them may see the key.
func TestNotApikeyd(t *testing.T) {
	t.Parallel()
	const html, petstore = "text/html; charset=utf-8", `{"openapi":"3.0.3","info":{"title":"Petstore","version":"1"},"paths":{}}`
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	for name, tt := range map[string]struct {
		status      int
		media, body string
		says        string
	}{
		"a website": {200, html, "<title>Our\n shop</title>",
			`is not apikeyd: GET /openapi.json and GET /v1/api-keys got status 200 with the page "Our shop", without X-Request-Id (Server: shop/1)`},
		"another API":      {404, "application/json", `{"error":"none"}`, "is not apikeyd: GET /openapi.json and GET /v1/api-keys got status 404 with application/json"},
		"another contract": {200, "application/json", petstore, `is not apikeyd: GET /openapi.json: this is the contract of another API, "Petstore"`},
		"a page to sign in": {401, html, "<title>Sign in</title>",
			"if that is a proxy in front of apikeyd, let the suite pass without its credentials"},
		"a proxy without its server": {502, html, "<title>Bad Gateway</title>",
			`GET /v1/api-keys: a proxy in front of the server seems to have answered: status 502 with the page "Bad Gateway"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Api-Key") != "" || r.Header.Get("Authorization") != "" {
					t.Error("the key was sent")
				}
				w.Header().Set("Content-Type", tt.media)
				w.Header().Set("Server", "shop/1")
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			t.Cleanup(other.Close)
			wantUnusable(t, conformance.Options{URL: other.URL, Key: secret}, tt.says)
		})
	}
	t.Run("a redirect", func(t *testing.T) {
		t.Parallel()
		other := httptest.NewServer(http.RedirectHandler("https://keys.example.com/sub/openapi.json?x=y", http.StatusMovedPermanently))
		t.Cleanup(other.Close)
		wantUnusable(t, conformance.Options{URL: other.URL, Key: secret}, "redirects to https://keys.example.com/sub: check that URL instead")
	})
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		wantUnusable(t, conformance.Options{URL: "http://127.0.0.1:1", Key: secret}, "no apikeyd answers at http://127.0.0.1:1: GET /openapi.json: ")
	})
}

func wantUnusable(t *testing.T, o conformance.Options, says string) {
	t.Helper()
	o.Contract = gen.Contract
	if _, err := conformance.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("error is %v, want it to say %q", err, says)
	}
}

// runBehind runs some checks through a handler in front of a service. It gets the service's proxy.
func runBehind(t *testing.T, path string, o conformance.Selection, front func(proxy http.Handler) http.Handler) conformance.Report {
	t.Helper()
	s := servertest.Start(t, servertest.Options{})
	_, secret := s.Add(t, "acme", "for the suite", apikey.ScopeAdmin)
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.URL.RawQuery = r.In.URL.RawQuery // otherwise it drops parameters that it cannot parse
	}}
	server := httptest.NewServer(front(proxy))
	t.Cleanup(server.Close)
	report, err := conformance.Run(t.Context(), conformance.Options{
		URL: server.URL + path, Key: secret.Reveal(), Contract: gen.Contract, Client: s.Plain, Selection: o,
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestBelowPath runs the suite where a proxy removes the beginning of paths.
func TestBelowPath(t *testing.T) {
	t.Parallel()
	some := conformance.Selection{Only: []string{"deployment", "lifecycle", "names", "routing", "lists"}}
	t.Run("and completes Location", func(t *testing.T) {
		t.Parallel()
		report := runBehind(t, "/keys", some, func(proxy http.Handler) http.Handler {
			return http.StripPrefix("/keys", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				a := httptest.NewRecorder()
				proxy.ServeHTTP(a, r)
				for name, values := range a.Header() {
					w.Header()[name] = values
				}
				if location := a.Header().Get("Location"); location != "" {
					w.Header().Set("Location", "/keys"+location)
				}
				w.WriteHeader(a.Code)
				_, _ = w.Write(a.Body.Bytes())
			}))
		})
		wantNoFindings(t, report)
	})
	t.Run("and forgets Location", func(t *testing.T) {
		t.Parallel()
		report := runBehind(t, "/keys", some, func(proxy http.Handler) http.Handler { return http.StripPrefix("/keys", proxy) })
		for _, result := range report.Results {
			switch {
			case result.Name != "lifecycle/location":
				if result.Outcome != conformance.Passed {
					t.Errorf("%s: %s", result.Name, result.Findings)
				}
			case result.Outcome != conformance.Failed || !strings.Contains(result.Findings[0], "/keys/v1/api-keys/") ||
				!strings.Contains(result.Findings[0], "the proxy that removes /keys from paths must put it in front of Location (nginx: proxy_redirect / /keys/;)"):
				t.Errorf("%s: %s", result.Name, result.Findings)
			}
		}
	})
}

// TestHiddenContract runs the suite where a proxy passes on nothing but /v1.
func TestHiddenContract(t *testing.T) {
	t.Parallel()
	report := runBehind(t, "", conformance.Selection{Only: []string{"routing/head"}}, func(proxy http.Handler) http.Handler {
		routes := http.NewServeMux()
		routes.Handle("/v1/", proxy)
		return routes
	})
	first := report.Results[0]
	if first.Name != "deployment/contract" || first.Outcome != conformance.Skipped ||
		!strings.HasPrefix(first.Findings[0], "the server's own contract is not there: GET /openapi.json got status 404 with text/plain") {
		t.Errorf("the first result is %+v", first)
	}
	if report.Count(conformance.Passed) != 1 {
		t.Errorf("the results are %+v", report.Results)
	}
}

// TestAnotherContract runs the suite where the server's contract lacks a property.
func TestAnotherContract(t *testing.T) {
	t.Parallel()
	older := func(proxy http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/openapi.json" {
				proxy.ServeHTTP(w, r)
				return
			}
			var contract map[string]any
			_ = json.Unmarshal(gen.ContractJSON, &contract) // it is ours
			delete(contract["paths"].(map[string]any), "/v1/usage")
			text, _ := json.Marshal(contract) // it came from JSON
			_, _ = w.Write(text)
		})
	}
	report := runBehind(t, "", conformance.Selection{}, older)
	if report.Count(conformance.Failed) != 1 || report.Count(conformance.Skipped) != len(report.Results)-1 ||
		report.Results[0].Outcome != conformance.Failed {
		t.Errorf("the results are %+v", report.Results)
	}
	found := report.Results[0].Findings
	if len(found) != 2 || !strings.Contains(found[0], "check it with the apikeyd of its own release, or expect findings of deployment/contract") ||
		found[1] != "the server's contract lacks an operation: GET /v1/usage" {
		t.Errorf("the findings are %q", found)
	}
	if why := report.Results[1].Findings; len(why) != 1 || why[0] != "the server has another contract; see deployment/contract" {
		t.Errorf("the others are skipped because of %q", why)
	}
	for name, o := range map[string]conformance.Selection{
		"expected": {Only: []string{"dates"}, Expect: []string{"deployment/contract"}},
		"skipped":  {Only: []string{"dates"}, Skip: []string{"deployment/contract"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := runBehind(t, "", o, older)
			if string(report.Results[0].Outcome) != name || report.Count(conformance.Passed) != 2 || report.Count(conformance.Failed) > 0 {
				t.Errorf("the results are %+v", report.Results)
			}
		})
	}
}
