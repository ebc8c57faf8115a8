package console_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"apikeyd/console"
)

// addresses returns the addresses of all routes with a method, for an existing key.
func (k *kit) addresses(method string) (paths []string) {
	for _, pattern := range console.Patterns() {
		if path, ok := strings.CutPrefix(pattern, method+" "); ok {
			path = strings.ReplaceAll(path, "{id}", k.owner.ID.String())
			paths = append(paths, strings.NewReplacer("{$}", "", "{name}", "console.js").Replace(path))
		}
	}
	return paths
}

// A form from another site has no effect, whichever form it is and however the browser reports its
// origin.
func TestForeignForms(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	paths := k.addresses(http.MethodPost)
	if len(paths) < 2 {
		t.Fatalf("there are only %q", paths)
	}
	for _, path := range paths {
		for name, header := range map[string]map[string]string{
			"cross-site":      {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
			"same-site":       {"Sec-Fetch-Site": "same-site", "Origin": "https://evil.example.com"},
			"by origin alone": {"Origin": "https://evil.example"},
			"opaque origin":   {"Origin": "null"},
			"another port":    {"Origin": "http://example.com:8081"},
		} {
			v := k.visitor()
			v.signIn(k.owner)
			v.header = header
			a := v.post(path, url.Values{"secret": {k.admin.Secret}})
			a.want(http.StatusForbidden, "This form comes from another site", "Nothing was changed")
			if len(a.cookies) != 0 {
				t.Errorf("%s, %s: it changes cookies", path, name)
			}
			v.header = nil
			v.get("/console/keys").want(http.StatusOK)
		}
	}
	// The same forms from our own pages are accepted.
	for _, header := range []map[string]string{{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://example.com"}, {}} {
		v := k.visitor()
		v.header = header
		v.signIn(k.owner)
	}
}

// Every answer has all security headers.
func TestHeaders(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	v.signIn(k.admin)
	paths := append(k.addresses(http.MethodGet), "/console/nowhere", "/console/assets/nothing.js", "/console/keys?q=%zz")
	for _, path := range paths {
		for _, visitor := range []*visitor{v, k.visitor()} {
			a := visitor.get(path)
			for name, want := range map[string]string{
				"Content-Security-Policy":      "default-src 'none'; ",
				"Cross-Origin-Opener-Policy":   "same-origin",
				"Cross-Origin-Resource-Policy": "same-origin",
				"Permissions-Policy":           "camera=()",
				"Referrer-Policy":              "same-origin",
				"X-Content-Type-Options":       "nosniff",
				"X-Frame-Options":              "DENY",
			} {
				if got := a.header.Get(name); !strings.HasPrefix(got, want) {
					t.Errorf("%s: %s is %q", path, name, got)
				}
			}
			policy := a.header.Get("Content-Security-Policy")
			for _, part := range []string{"frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "script-src 'self'", "style-src 'self'"} {
				if !strings.Contains(policy, part) {
					t.Errorf("%s: the policy lacks %s", path, part)
				}
			}
			if strings.Contains(policy, "unsafe") {
				t.Errorf("%s: the policy is %s", path, policy)
			}
			isAsset := strings.HasPrefix(path, "/console/assets/")
			if got := a.header.Get("Cache-Control"); !isAsset && got != "no-store" {
				t.Errorf("%s: Cache-Control is %q", path, got)
			}
			if isAsset && len(a.cookies) != 0 {
				t.Errorf("%s sets cookies, and may be kept by caches", path)
			}
		}
	}
}

// No page contains anything that the policy would block, or a form without an address: the page may
// be shown in the answer to another form (showTyped).
func TestMarkup(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	for _, s := range everyScene() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			a := s.visit(k)
			for n := range parse(t, a.body).Descendants() {
				if n.Type != html.ElementNode {
					continue
				}
				for _, attribute := range n.Attr {
					if name := attribute.Key; name == "style" || name == "srcdoc" || strings.HasPrefix(name, "on") ||
						strings.HasPrefix(name, "hx-on") || strings.Contains(attribute.Val, "javascript:") ||
						strings.HasPrefix(attribute.Val, "js:") {
						t.Errorf("<%s> has %s=%q", n.Data, name, attribute.Val)
					}
				}
				switch n.Data {
				case "style", "base", "iframe", "object", "embed":
					t.Errorf("there is a <%s>", n.Data)
				case "script":
					if !strings.HasPrefix(attr(n, "src"), "/console/assets/") || n.FirstChild != nil {
						t.Errorf("there is a script of the page's own, or of another place: %v", n.Attr)
					}
				case "form":
					if attr(n, "method") != "dialog" && !strings.HasPrefix(attr(n, "action"), "/console/") {
						t.Errorf("a form has the address %q", attr(n, "action"))
					}
				}
				for _, name := range []string{"src", "href", "action", "formaction", "hx-get", "hx-post"} {
					if to := attr(n, name); to != "" && !strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "#") || strings.HasPrefix(to, "//") {
						t.Errorf("<%s> leads to %s", n.Data, to)
					}
				}
			}
		})
	}
}

func parse(t *testing.T, page string) *html.Node {
	t.Helper()
	tree, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// attr returns an attribute of an element, or nothing.
func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func TestPanic(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{console: func(c *console.Config) {
		api := c.API
		c.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("search") == "panic" {
				panic("a planted defect")
			}
			api.ServeHTTP(w, r)
		})
	}})
	v := k.visitor()
	v.signIn(k.owner)
	v.get("/console/keys?q=panic").want(http.StatusInternalServerError, "<h1>The console failed</h1>", "To the start")
	v.get("/console/keys").want(http.StatusOK)
	if log := k.Log.String(); !strings.Contains(log, "a planted defect") || !strings.Contains(log, "protect_test.go") {
		t.Errorf("the log does not say where it was:\n%s", log)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	v.signIn(k.owner)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodHead, "/console/keys", http.StatusOK, ""},
		{http.MethodHead, "/console/sign-in", http.StatusOK, ""},
		{http.MethodHead, "/console/assets/console.js", http.StatusOK, ""},
		{http.MethodGet, "/console", http.StatusOK, ""},
		{http.MethodGet, "/console/", http.StatusSeeOther, ""},
		{http.MethodGet, "/console/nowhere", http.StatusNotFound, ""},
		{http.MethodPost, "/console/nowhere", http.StatusNotFound, ""},
		{http.MethodGet, "/console/assets/nothing.js", http.StatusNotFound, ""},
		{http.MethodGet, "/console/sign-out", http.StatusMethodNotAllowed, "POST"},
		{http.MethodPut, "/console/sign-in", http.StatusMethodNotAllowed, "GET, HEAD, POST"},
		{http.MethodDelete, "/console/keys", http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodOptions, "/console/keys", http.StatusMethodNotAllowed, "GET, HEAD"},
	} {
		a := v.do(httptest.NewRequest(c.method, c.path, nil))
		if a.want(c.status); a.header.Get("Allow") != c.allow {
			t.Errorf("%s: Allow is %q, want %q", a.request, a.header.Get("Allow"), c.allow)
		}
	}
	v.get("/console/nowhere").want(http.StatusNotFound, "<h1>There is no such page</h1>", "<nav")

	// Over a socket, a HEAD has no body and the page's headers.
	head, err := k.Plain.Head(k.URL + "/console/sign-in")
	k.must(err)
	body, err := io.ReadAll(head.Body)
	k.must(err)
	k.must(head.Body.Close())
	if head.StatusCode != http.StatusOK || len(body) != 0 || !strings.HasPrefix(head.Header.Get("Content-Type"), "text/html") {
		t.Errorf("HEAD: %d %v %q", head.StatusCode, head.Header, body)
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	v.post("/console/sign-in", url.Values{"secret": {strings.Repeat("x", 400<<10)}}).
		want(http.StatusRequestEntityTooLarge, "This is too much text")
	r := httptest.NewRequest(http.MethodPost, "/console/sign-in", strings.NewReader("%zz"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	v.do(r).want(http.StatusBadRequest, "This is not a valid form")
}

func TestAssets(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	var addresses []string
	for n := range parse(t, v.get("/console/sign-in").body).Descendants() {
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Val, "/console/assets/") && !slices.Contains(addresses, a.Val) {
				addresses = append(addresses, a.Val)
			}
		}
	}
	if len(addresses) < 5 {
		t.Fatalf("the page loads only %q", addresses)
	}
	for _, address := range addresses {
		v.header = map[string]string{"Accept-Encoding": "gzip"}
		small := v.get(address).want(http.StatusOK)
		if small.header.Get("Content-Encoding") != "gzip" || !strings.Contains(small.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", address, small.header)
		}
		v.header = nil
		plain := v.get(address).want(http.StatusOK)
		if plain.header.Get("Content-Encoding") != "" || len(plain.body) <= len(small.body) || plain.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %v", address, plain.header)
		}
		// Another version, as during an upgrade, must not stay in caches.
		path, _, _ := strings.Cut(address, "?")
		if got := v.get(path + "?v=0").want(http.StatusOK).header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s of another version: Cache-Control is %q", path, got)
		}
	}
	// Pages are never compressed, even on request.
	v.header = map[string]string{"Accept-Encoding": "gzip"}
	if v.get("/console/sign-in").header.Get("Content-Encoding") != "" {
		t.Error("a page is compressed")
	}
}
