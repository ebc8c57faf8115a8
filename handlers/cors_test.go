package handlers_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"apikeyd/gen"
	"apikeyd/handlers"
)

const appOrigin = "https://app.example.com"

// scripted is the head of an answer to a script.
type scripted struct {
	StatusCode int
	Header     http.Header
}

// script sends a request as a browser does for a script of an origin.
func (k *kit) script(method, path, origin string, more http.Header) scripted {
	k.Helper()
	r, err := http.NewRequestWithContext(k.Context(), method, "http://"+k.host+path, nil)
	k.must(err)
	r.Header = more.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	answer, err := k.plain.Do(r)
	k.must(err)
	k.must(answer.Body.Close())
	return scripted{answer.StatusCode, answer.Header}
}

func withOrigins(origins ...string) func(*handlers.Config) {
	return func(c *handlers.Config) { c.CORSOrigins = origins }
}

// An origin counts exactly as it was configured, on every answer, and never with cookies.
func TestCORS(t *testing.T) {
	t.Parallel()
	k := newKit(t, withOrigins(appOrigin, "http://localhost:3000"))
	for origin, allowed := range map[string]bool{
		appOrigin: true, "http://localhost:3000": true,
		"": false, "null": false, "*": false, "http://app.example.com": false, "https://app.example.com:443": false, "https://app.example.com:8443": false,
		"https://app.example.com.evil.example": false, "https://evil-app.example.com": false, "https://x.app.example.com": false,
		"https://APP.example.com": false, "https://app.example.com/": false, "https://app.example.com, https://evil.example": false,
		"http://localhost": false, "http://localhost:30000": false,
	} {
		for path, status := range map[string]int{keysPath: 200, keysPath + "/nothing": 404, "/v1/nowhere": 404, keysPath + "?page=x": 400} {
			answer := k.script("GET", path, origin, http.Header{"X-Api-Key": {k.admin.Secret}})
			if answer.StatusCode != status || !slices.Contains(answer.Header.Values("Vary"), "Origin") {
				t.Errorf("%q at %s: status %d, Vary %q", origin, path, answer.StatusCode, answer.Header.Values("Vary"))
			}
			want, exposed := "", ""
			if allowed {
				want, exposed = origin, "X-Request-Id"
			}
			if got := answer.Header.Values("Access-Control-Allow-Origin"); strings.Join(got, "|") != want {
				t.Errorf("%q at %s: Access-Control-Allow-Origin is %q", origin, path, got)
			}
			if got := answer.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(got, exposed) || !allowed && got != "" {
				t.Errorf("%q at %s: Access-Control-Expose-Headers is %q", origin, path, got)
			}
			if got, there := answer.Header["Access-Control-Allow-Credentials"]; there {
				t.Errorf("%q at %s: Access-Control-Allow-Credentials is %q", origin, path, got)
			}
		}
	}
	twice := k.script("GET", keysPath, "", http.Header{"Origin": {appOrigin, "https://evil.example"}})
	if got := twice.Header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("of two origins %q is allowed", got)
	}
	for _, path := range []string{"/docs", "/openapi.json", "/healthz", "/nowhere", "/v1/forward-auth"} {
		if got := k.script("GET", path, appOrigin, nil).Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s allows %q", path, got)
		}
	}
}

// A preflight says what the contract has, without a key.
func TestPreflights(t *testing.T) {
	t.Parallel()
	k := newKit(t, withOrigins(appOrigin))
	contract, err := gen.GetSpec()
	k.must(err)
	for path, item := range contract.Paths.Map() {
		if path == "/v1/forward-auth" {
			continue
		}
		path = strings.NewReplacer("{key_name}", "a%2Fb", "{owner}", "acme", "{webhook_id}", k.admin.ID, "{event_id}", k.admin.ID).Replace(path)
		for method := range item.Operations() {
			asked := http.Header{"Access-Control-Request-Method": {method}, "Access-Control-Request-Headers": {"content-type,x-api-key"}}
			answer := k.script("OPTIONS", path, appOrigin, asked)
			allowed := strings.Split(answer.Header.Get("Access-Control-Allow-Methods"), ", ")
			headers := strings.ToLower(answer.Header.Get("Access-Control-Allow-Headers"))
			if strings.HasPrefix(path, "/v1/") != slices.Contains(allowed, method) {
				t.Errorf("%s %s: Access-Control-Allow-Methods is %q", method, path, allowed)
			}
			if !strings.HasPrefix(path, "/v1/") {
				continue
			}
			if answer.StatusCode != http.StatusNoContent || answer.Header.Get("Access-Control-Allow-Origin") != appOrigin || slices.Contains(allowed, "*") ||
				!strings.Contains(headers, "x-api-key") || !strings.Contains(headers, "content-type") || strings.Contains(headers, "*") {
				t.Errorf("%s %s: status %d, %v", method, path, answer.StatusCode, answer.Header)
			}
			stranger := k.script("OPTIONS", path, "https://evil.example", asked)
			for name := range stranger.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s %s: an unknown origin gets %s", method, path, name)
				}
			}
		}
	}
}

// Without origins, no answer speaks of them.
func TestNoCORS(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, method := range []string{"GET", "OPTIONS"} {
		answer := k.script(method, keysPath, appOrigin, http.Header{"Access-Control-Request-Method": {"GET"}})
		for name := range answer.Header {
			if strings.HasPrefix(name, "Access-Control-") || name == "Vary" {
				t.Errorf("%s: there is %s", method, name)
			}
		}
	}
}

// Forward-auth lets a preflight pass only if it is told to, and nothing that merely looks like one.
func TestForwardAuthPreflight(t *testing.T) {
	t.Parallel()
	preflight := http.Header{"Access-Control-Request-Method": {"POST"}}
	for _, passes := range []bool{false, true} {
		k := newKit(t, func(c *handlers.Config) { c.PassPreflights = passes })
		want := map[bool]int{false: http.StatusUnauthorized, true: http.StatusOK}[passes]
		for _, path := range []string{"/v1/forward-auth", "/v1/forward-auth?scope=datasets:read", "/v1/forward-auth/reports?scopes=x"} {
			answer := k.script("OPTIONS", path, appOrigin, preflight)
			if answer.StatusCode != want {
				t.Errorf("pass is %t: %s is %d, want %d", passes, path, answer.StatusCode, want)
			}
			for _, name := range []string{"X-Api-Key-Id", "X-Api-Key-Name", "X-Api-Key-Owner", "X-Api-Key-Scopes"} {
				if got, there := answer.Header[name]; passes && (!there || got[0] != "") {
					t.Errorf("%s: %s is %q", path, name, got)
				}
			}
		}
		forwarded := preflight.Clone()
		for _, name := range []string{"X-Forwarded-Method", "X-Original-Method", "X-Http-Method-Override"} {
			forwarded.Set(name, "OPTIONS")
		}
		for name, answer := range map[string]scripted{
			"another method that claims to be one": k.script("GET", "/v1/forward-auth", appOrigin, forwarded),
			"POST":                                 k.script("POST", "/v1/forward-auth", appOrigin, preflight),
			"without an origin":                    k.script("OPTIONS", "/v1/forward-auth", "", preflight),
			"without a method":                     k.script("OPTIONS", "/v1/forward-auth", appOrigin, nil),
			"options in small letters":             k.script("options", "/v1/forward-auth", appOrigin, preflight),
			"with a bad key":                       k.script("OPTIONS", "/v1/forward-auth", appOrigin, http.Header{"Access-Control-Request-Method": {"POST"}, "X-Api-Key": {"nonsense"}}),
		} {
			if answer.StatusCode != http.StatusUnauthorized {
				t.Errorf("pass is %t: %s: status %d, want 401", passes, name, answer.StatusCode)
			}
		}
	}
}
