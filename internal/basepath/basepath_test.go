package basepath_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"apikeyd/internal/basepath"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "/": "", "/keys": "/keys", "/keys/": "/keys", "/a/b-c/d.e_f~1": "/a/b-c/d.e_f~1", "/.well-known": "/.well-known",
		"/" + strings.Repeat("a", 127): "/" + strings.Repeat("a", 127),
	} {
		if got, err := basepath.Parse(text); err != nil || got != want {
			t.Errorf("%q is %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range impossible {
		if got, err := basepath.Parse(text); err == nil || got != "" {
			t.Errorf("%q is accepted as %q", text, got)
		}
	}
}

// impossible are no base paths. Each one is an attack as X-Forwarded-Prefix.
var impossible = []string{
	"//evil.example", "//evil.example/keys", "///", "/keys//", "/keys//x", `/\evil.example`, `\\evil.example`, "/keys\\x", // open redirects
	"https://evil.example", "https://evil.example/keys", "evil.example", "keys", "javascript:alert(1)", "/@evil.example",
	"/..", "/../keys", "/keys/..", "/keys/../..", "/.", "/keys/./x", "/%2e%2e", "/keys%2f..", // traversal
	"/keys\r\nSet-Cookie: a=b", "/keys\nx", "/keys\x00", "/keys\t", " /keys", "/keys ", "/keys;a=b", "/keys, /evil", // header injection
	`/keys"><script>alert(1)</script>`, "/keys'x", "/keys<b>", "/keys&x", "/keys?x=y", "/keys#x", "/keys{{.}}", "/keys+x", // markup
	"/ключи", "/keys\xff", "/" + strings.Repeat("a", 128), strings.Repeat("/a", 100_000),
}

// served is what a handler below a base path sees, and what its client gets.
type served struct{ base, path, raw, location, push string }

func (s served) String() string {
	return fmt.Sprintf("base %q, path %q, raw path %q, Location %q, HX-Push-Url %q", s.base, s.path, s.raw, s.location, s.push)
}

// serve sends a request from a trusted proxy, or from elsewhere.
func serve(fixed, target string, trusted bool, prefixes ...string) (got served, outside bool) {
	handler := basepath.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outside = basepath.IsOutside(r.Context())
		got.base, got.path, got.raw = basepath.Of(r.Context()), r.URL.Path, r.URL.RawPath
		w.Header().Set("Location", "/console")
		w.Header().Set("HX-Push-Url", "/console/keys")
		w.WriteHeader(http.StatusSeeOther)
	}), basepath.Options{Path: fixed, Trusts: func(*http.Request) bool { return trusted }})
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if len(prefixes) > 0 {
		r.Header["X-Forwarded-Prefix"] = prefixes
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, r)
	got.location, got.push = recorder.Header().Get("Location"), recorder.Header().Get("HX-Push-Url")
	return got, outside
}

func at(base, path, raw string) served {
	return served{base, path, raw, base + "/console", base + "/console/keys"}
}

func TestFixedPath(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]served{
		"/keys":                       at("/keys", "/", ""),
		"/keys/":                      at("/keys", "/", ""),
		"/keys/v1/api-keys/a%2Fb":     at("/keys", "/v1/api-keys/a/b", "/v1/api-keys/a%2Fb"),
		"/keys/v1/api-keys/%2Fkeys":   at("/keys", "/v1/api-keys//keys", "/v1/api-keys/%2Fkeys"),
		"/keys/keys/console":          at("/keys", "/keys/console", ""), // removed once
		"/keys//evil.example/console": at("/keys", "//evil.example/console", ""),
		"/healthz":                    at("/keys", "/healthz", ""),
		"/keys/readyz?x":              at("/keys", "/readyz", ""),
	} {
		if got, outside := serve("/keys", target, false); got != want || outside {
			t.Errorf("%s is served as %s, outside: %t, want %s", target, got, outside, want)
		}
	}
	for _, target := range []string{
		"/", "/console", "/v1/api-keys", "/keysX/console", "/key", "/KEYS/console", "/%6beys/console", "/keys%2Fconsole", "/keys;x/console",
		"/x/keys/console", "/healthz/", "/metrics", "//keys/console",
	} {
		if got, outside := serve("/keys", target, false); !outside || !strings.Contains(target, got.path) && got.raw == "" {
			t.Errorf("%s is served as %s", target, got)
		}
	}
}

// A proxy that removes the path and denies /keys/console lets /keys/keys/console pass, as /keys/console.
func TestPathIsNotRemovedTwice(t *testing.T) {
	t.Parallel()
	got, outside := serve("/keys", "/keys/console", true, "/keys")
	if want := at("/keys", "/keys/console", ""); got != want || outside {
		t.Errorf("behind a proxy that removed the path it is served as %s, want %s", got, want)
	}
	if got, outside = serve("/keys", "/console", true, "/keys"); got != at("/keys", "/console", "") || outside {
		t.Errorf("what such a proxy lets pass is served as %s, outside: %t", got, outside)
	}
	for _, prefix := range []string{"/other", "", "/keys/x"} {
		if _, outside = serve("/keys", "/console", true, prefix); !outside {
			t.Errorf("the prefix %q replaces --base-path", prefix)
		}
	}
}

func TestForwardedPrefix(t *testing.T) {
	t.Parallel()
	for prefix, base := range map[string]string{"/keys": "/keys", "/a/b/": "/a/b", "/": "", "": ""} {
		if got, outside := serve("", "/console/x%2Fy", true, prefix); got != at(base, "/console/x/y", "/console/x%2Fy") || outside {
			t.Errorf("%q: served as %s", prefix, got)
		}
	}
	root := at("", "/console", "")
	if got, _ := serve("", "/console", false, "/keys"); got != root {
		t.Errorf("a stranger's prefix is believed: %s", got)
	}
	if got, _ := serve("", "/console", true, "/keys", "/evil"); got != root {
		t.Errorf("two prefixes are believed: %s", got)
	}
	for _, prefix := range impossible {
		if got, _ := serve("", "/console", true, prefix); got != root {
			t.Errorf("%q is believed: %s", prefix, got)
		}
	}
}

// Addresses of other servers stay as they are.
func TestOtherAddressesStay(t *testing.T) {
	t.Parallel()
	for _, location := range []string{"https://login.example/authorize", "//cdn.example/x", "keys", "?page=2", ""} {
		handler := basepath.Handler(http.RedirectHandler("/", http.StatusFound), basepath.Options{Path: "/keys"})
		if location != "" {
			handler = basepath.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", location)
				w.WriteHeader(http.StatusFound)
			}), basepath.Options{Path: "/keys"})
		}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/keys", nil))
		want := location
		if want == "" {
			want = "/keys/"
		}
		if got := recorder.Header().Get("Location"); got != want {
			t.Errorf("%q becomes %q", location, got)
		}
	}
}
