package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"apikeyd/apikey"
)

// rooted matches an address of this server from its root, in a page or a header.
var rooted = regexp.MustCompile(`["'=(> ](/(?:console|docs|v1|openapi|healthz|readyz)\b[^"' <>]*)`)

// aside matches what is no address to follow: a form's value, and the example in a sentence.
var aside = regexp.MustCompile(` value="[^"]*"|<code>POST /v1/verify</code>`)

// wantBelow fails for every address in an answer that leads out of the base path. A page that a base
// path breaks needs its addresses in href, src, action, hx-get or hx-post: view.go completes those.
func (a reply) wantBelow() {
	a.Helper()
	page := aside.ReplaceAllString(a.body, "")
	if a.status/100 == 3 {
		page = "" // browsers show none
	}
	for _, found := range rooted.FindAllStringSubmatch(page, -1) {
		a.Errorf("%s: the page has %s, without the base path", a.request, found[0])
	}
	for _, name := range []string{"Location", "Hx-Push-Url", "Hx-Redirect", "Hx-Location", "Refresh", "Link"} {
		if value := a.header.Get(name); value != "" && !strings.HasPrefix(value, a.base+"/") {
			a.Errorf("%s: %s is %q, without the base path", a.request, name, value)
		}
	}
	for name, cookie := range a.cookies {
		if cookie.Path != "/" && !strings.HasPrefix(cookie.Path, a.base+"/console") {
			a.Errorf("%s: the cookie %s has the path %s", a.request, name, cookie.Path)
		}
	}
}

// Every page and every redirect stays below the base path.
func TestPagesBelowABasePath(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{base: "/team/keys"})
	for _, s := range everyScene() {
		a := s.visit(k)
		a.wantBelow()
		if !strings.Contains(a.body, `href="/team/keys/console/assets/`) {
			t.Errorf("%s loads no style sheet from below the base path", s.name)
		}
	}
	v := k.visitor()
	v.signIn(k.admin).wantBelow()
	for _, source := range everySecretSource() {
		a := source.make(k, v)
		a.wantBelow()
		if location := a.header.Get("Location"); a.status == http.StatusCreated && !strings.HasPrefix(location, "/team/keys/v1/api-keys/") {
			t.Errorf("%s: Location is %q", source.name, location)
		}
		if strings.Contains(a.body, "curl") && !strings.Contains(a.body, "http://example.com/team/keys/v1/api-keys&#34;") && !strings.Contains(a.body, "YOUR-API") {
			t.Errorf("%s: the commands do not call this server:\n%s", source.name, a.body)
		}
	}
	spare := pathOf(k.spare().ID)
	for _, path := range []string{"/suspend", "/resume", "/revoke"} {
		v.post(spare+path, url.Values{"confirm": {"on"}, "name": {k.owner.Name}}).wantBelow()
	}
	v.get(spare).want(http.StatusOK).wantBelow() // with a notice
	v.get("/console/").goes("/console").wantBelow()
	v.get("/console//keys").wantBelow() // net/http cleans it
	v.post("/console/sign-out", nil).goes("/console/sign-in").wantBelow()
	v.get("/console/keys?q=x").wantBelow()
	v.post("/console/keys/new", url.Values{"name": {"typed"}}).want(http.StatusOK, `value="/console/keys/new"`).wantBelow()

	v.signIn(k.admin)
	v.header["Hx-Request"] = "true"
	a := v.get("/console/keys?q=&owner=acme").want(http.StatusOK)
	if a.wantBelow(); a.header.Get("HX-Push-Url") != "/team/keys/console/keys?owner=acme" {
		t.Errorf("the address becomes %q", a.header.Get("HX-Push-Url"))
	}
}

// Text of users that looks like an address stays as it is.
func TestTextBelowABasePath(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{base: "/keys"})
	const name = `a href="/x" action='/y' src=/z`
	v := k.visitor()
	v.signIn(k.admin)
	made := k.add("acme", name, apikey.ScopeRead)
	for _, path := range []string{"/console/keys", pathOf(made.ID), pathOf(made.ID, "edit")} {
		v.get(path).want(http.StatusOK, `a href=&#34;/x&#34; action=&#39;/y&#39; src=/z`)
	}
}

// Two services below different paths of one host do not end each other's sessions.
func TestSessionsBelowDifferentPaths(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, base := range []string{"", "/a", "/a/b", "/a.b"} {
		k := newKit(t, options{base: base})
		for _, scheme := range []string{"http", "https"} {
			v := k.visitor()
			v.header["X-Forwarded-Proto"] = scheme
			for name, cookie := range v.signIn(k.admin).cookies {
				if names[name] {
					t.Errorf("below %q over %s the cookie has the name %s of another one", base, scheme, name)
				}
				names[name] = true
				if strings.HasPrefix(name, "__Host-") != (scheme == "https") || cookie.Path != "/" || cookie.Secure != (scheme == "https") {
					t.Errorf("below %q over %s the cookie is %v", base, scheme, cookie)
				}
			}
			v.get("/console/keys").want(http.StatusOK)
		}
	}
	if len(names) != 8 {
		t.Errorf("there are %d cookies, want 8", len(names))
	}
}

// No answer that a cache may keep depends on a prefix, so a stranger's cannot get into it.
func TestPrefixesReachNoCache(t *testing.T) {
	t.Parallel()
	root, below := newKit(t, options{}), newKit(t, options{base: "/evil"})
	assets := regexp.MustCompile(`/console/assets/[^"]+`).FindAllString(root.visitor().get("/console/sign-in").body, -1)
	for _, path := range append(assets, "/docs", "/docs/page.js", "/docs/page.css", "/openapi.json", "/openapi.yaml") {
		a, b := root.visitor().get(path).want(http.StatusOK), below.visitor().get(path).want(http.StatusOK)
		if a.body != b.body || a.header.Get("Etag") != b.header.Get("Etag") {
			t.Errorf("%s depends on the base path", path)
		}
	}
	for _, path := range []string{"/console", "/console/sign-in", "/console/nowhere", "/console/keys", "/v1/api-keys", "/nowhere"} {
		a := below.visitor().get(path)
		if control := a.header.Get("Cache-Control"); control != "no-store" {
			t.Errorf("%s may be cached: Cache-Control is %q", path, control)
		}
	}
}
