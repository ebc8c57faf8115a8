package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/console"
	"apikeyd/handlers"
)

// framer is an origin that may show pages of links in a frame.
const framer = "https://app.example.com"

// newLinkKit starts a service whose owner links look like somebody's own.
func newLinkKit(t *testing.T, configure ...func(*console.Config)) *kit {
	t.Helper()
	var api handlers.Config
	return newKit(t, options{api: func(c *handlers.Config) { api = *c }, console: func(c *console.Config) {
		c.Sessions = handlers.NewSessions(api)
		c.Links = console.LinkPages{
			Title: "Acme <keys>", Logo: []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), Accent: "#0b63c5", Return: "https://app.example.com/settings",
		}
		c.Warnings = func() []string { return []string{"a warning for operators"} }
		for _, f := range configure {
			f(c)
		}
	}})
}

// link makes a link and returns its token.
func (k *kit) link(by key) string {
	k.Helper()
	scopes := []string{apikey.ScopeRead, apikey.ScopeWrite, "datasets:read"}
	link, err := k.as(by).LinkOwner(k.Context(), "acme", client.NewOwnerLink{Scopes: scopes, Name: "bob", Lasts: time.Hour})
	k.must(err)
	_, token, _ := strings.Cut(link.URL, "#")
	return token
}

// open opens a link.
func (v *visitor) open(token string) reply {
	v.Helper()
	return v.post("/console/link/open", url.Values{"token": {token}})
}

func TestOwnerLinkPages(t *testing.T) {
	t.Parallel()
	k := newLinkKit(t)
	k.add("other", "of another owner")
	v := k.visitor()
	token := k.link(k.owner)
	for range 3 { // a preview opens nothing
		v.get("/console/link").want(http.StatusOK, "Acme &lt;keys&gt;", `id="link-form"`)
	}
	v.open(token).goes("/console/keys")
	v.get("/console").goes("/console/keys")
	pages := []string{"/console/keys", "/console/keys/new", pathOf(k.owner.ID), "/console/nowhere"}
	for _, path := range pages {
		page := v.get(path).body
		for _, secret := range []string{"apikeyd", "of another owner", "a warning for operators", "/console/audit", "/console/owners", "/docs", "/console/try", "bob", "keys:verify"} {
			visible := strings.NewReplacer("apikeyd-shortcuts", "", "apikeyd_", "").Replace(page)
			if strings.Contains(visible, secret) {
				t.Errorf("%s shows %q to somebody who came by a link:\n%s", path, secret, page)
			}
		}
		if !strings.Contains(page, "Acme &lt;keys&gt;") || !strings.Contains(page, "https://app.example.com/settings") || !strings.Contains(page, "/console/link/logo") {
			t.Errorf("%s does not look like the integrator's:\n%s", path, page)
		}
	}
	// Nothing else is there.
	for _, path := range []string{"/console/owners", "/console/owners/owner?owner=acme", "/console/audit", "/console/audit/export", "/console/try", "/console/usage",
		pathOf(k.owner.ID, "review"), pathOf(k.owner.ID, "then"), "/console/sso"} {
		v.get(path).want(http.StatusNotFound)
	}
	v.get(pathOf(k.add("other", "hidden").ID)).want(http.StatusNotFound)
	v.get(pathOf(k.admin.ID)).want(http.StatusNotFound)

	// Keys are made, rotated and revoked.
	form := url.Values{"name": {"mine"}, "scope": {"datasets:read"}, "expires": {"custom"}, "custom": {time.Now().UTC().Add(24 * time.Hour).Format("2006-01-02T15:04")}}
	to := v.post("/console/keys/new", form).want(http.StatusSeeOther).header.Get("Location")
	v.get(to).want(http.StatusOK, "was created", "YOUR-API")
	made := k.get("acme", "mine")
	v.post("/console/keys/"+made.ID+"/rotate", url.Values{"grace": {"0"}, "was": {""}}).want(http.StatusSeeOther)
	v.post("/console/keys/"+made.ID+"/revoke", url.Values{"confirm": {"on"}, "name": {"mine"}}).want(http.StatusSeeOther)
	if k.get("acme", made.ID).RevokedAt.IsZero() {
		t.Error("the key was not revoked")
	}
	form.Set("name", "escalated")
	form.Set("scope", "keys:write")
	v.post("/console/keys/new", form).want(http.StatusForbidden)
	v.post(pathOf(k.owner.ID, "rotate"), url.Values{"grace": {"0"}, "was": {""}}).want(http.StatusForbidden)

	copied := v.copy()
	v.post("/console/sign-out", nil).want(http.StatusOK, "Your session has ended.", "https://app.example.com/settings")
	for _, who := range []*visitor{v, copied} {
		if page := who.get("/console/keys").body; strings.Contains(page, k.owner.Name) {
			t.Errorf("a session goes on after its end:\n%s", page)
		}
	}
	if k.sessionsOf()[0].RevokedAt.IsZero() {
		t.Error("the session's key still works")
	}
}

// Attacks on the page of links.
func TestOwnerLinkPageAttacks(t *testing.T) {
	t.Parallel()
	k := newLinkKit(t)
	token := k.link(k.owner)
	v := k.visitor()
	v.open(token).goes("/console/keys")
	other := k.visitor()
	other.open(token).want(http.StatusForbidden, "This link does not open")
	other.get("/console/keys").want(http.StatusSeeOther)
	other.get("/console/link?token="+k.link(k.owner)).want(http.StatusOK, `id="link-form"`)
	other.get("/console/keys").want(http.StatusSeeOther)

	// Another site opens nobody's link here.
	other.header["Sec-Fetch-Site"] = "cross-site"
	unused := k.link(k.owner)
	other.open(unused).want(http.StatusForbidden, "another site")
	delete(other.header, "Sec-Fetch-Site")
	other.open(unused).goes("/console/keys")

	// Without named origins, no page is shown in a frame.
	for _, path := range []string{"/console/link", "/console/keys"} {
		a := v.get(path)
		if a.header.Get("X-Frame-Options") != "DENY" || !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s may be framed: %v", path, a.header)
		}
	}

	// The session ends with its key, and its page says no more than that.
	session := k.sessionsOf()[0]
	_, err := k.as(k.admin).Revoke(t.Context(), session.ID)
	k.must(err)
	if page := other.get("/console/keys").want(http.StatusOK, "Your session has ended.").body; strings.Contains(page, "API key<") {
		t.Errorf("the page asks for a key:\n%s", page)
	}
	// A token is in no answer, no address and no log.
	for _, text := range []string{token, unused} {
		if requests := k.sent.with(text); len(requests) > 2 { // the answer that made it
			t.Errorf("the token of a link is in %q", requests)
		}
		if strings.Contains(k.Log.String(), text) {
			t.Error("the log holds the token of a link")
		}
	}
}

func TestFramedOwnerLink(t *testing.T) {
	t.Parallel()
	k := newLinkKit(t, func(c *console.Config) { c.Links.Framers = []string{framer, "https://www.example.com"} })
	v := k.visitor()
	v.tls = true
	framed := func(a reply, want bool) {
		t.Helper()
		policy := a.header.Get("Content-Security-Policy")
		may := strings.Contains(policy, "frame-ancestors "+framer+" https://www.example.com;") && a.header.Get("X-Frame-Options") == ""
		mayNot := strings.Contains(policy, "frame-ancestors 'none'") && a.header.Get("X-Frame-Options") == "DENY"
		if may != want || mayNot == want {
			t.Errorf("%s: framing is %t, want %t: %v", a.request, may, want, a.header)
		}
	}
	framed(v.get("/console/link"), true)
	framed(v.get("/console/sign-in"), false)
	opened := v.open(k.link(k.owner)).goes("/console/keys")
	framed(opened, true)
	session := opened.cookies["__Host-apikeyd"]
	if session == nil || session.SameSite != http.SameSiteNoneMode || !session.Partitioned || !session.Secure || !session.HttpOnly {
		t.Errorf("the cookie of a framed session is %v", session)
	}
	framed(v.get("/console/keys"), true)
	framed(v.get("/console/nowhere"), true)
	if theme := v.post("/console/theme", url.Values{"theme": {"dark"}}).cookies["apikeyd_theme"]; theme == nil || theme.SameSite != http.SameSiteNoneMode || !theme.Partitioned {
		t.Errorf("the cookie of a framed theme is %v", theme)
	}

	// Whoever has the frame on its page sends no form in its reader's name.
	v.header["Sec-Fetch-Site"] = "cross-site"
	v.post(pathOf(k.owner.ID, "revoke"), url.Values{"confirm": {"on"}, "name": {k.owner.Name}}).want(http.StatusForbidden, "another site")
	delete(v.header, "Sec-Fetch-Site")
	v.header["Origin"] = framer
	v.post("/console/sign-out", nil).want(http.StatusForbidden, "another site")
	delete(v.header, "Origin")
	ended := v.post("/console/sign-out", nil).want(http.StatusOK)
	framed(ended, true)
	if gone := ended.cookies["__Host-apikeyd"]; gone == nil || !gone.Partitioned || gone.MaxAge >= 0 {
		t.Errorf("the cookie of an ended session is %v", gone)
	}

	// Sessions with a key are for nobody's frame.
	admin := k.visitor()
	admin.tls = true
	signedIn := admin.signIn(k.admin)
	framed(signedIn, false)
	if c := signedIn.cookies["__Host-apikeyd"]; c.SameSite != http.SameSiteStrictMode || c.Partitioned {
		t.Errorf("the cookie of an administrator is %v", c)
	}
	framed(admin.get("/console/keys"), false)

	// Without TLS browsers would drop the cookie.
	plain := k.visitor()
	if c := plain.open(k.link(k.owner)).cookies["apikeyd"]; c == nil || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("the cookie without TLS is %v", c)
	}
}

func TestOwnerLinkStyle(t *testing.T) {
	t.Parallel()
	k := newLinkKit(t)
	v := k.visitor()
	v.get("/console/link/style.css").want(http.StatusOK, "#0b63c5", "--pico-primary-inverse: #fff")
	logo := v.get("/console/link/logo").want(http.StatusOK, "<svg")
	if logo.header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(logo.header.Get("Content-Security-Policy"), "script-src 'self'") {
		t.Errorf("the logo is sent with %v", logo.header)
	}
	plain := newLinkKit(t, func(c *console.Config) { c.Links = console.LinkPages{} })
	plain.visitor().get("/console/link").want(http.StatusOK, "<h1>API keys</h1>")
	plain.visitor().get("/console/link/logo").want(http.StatusNotFound)
	for text, fault := range map[string]bool{"<svg/>": false, "\x89PNG\r\n\x1a\n": false, "<html>": true, strings.Repeat("x", 300<<10): true} {
		if got := console.LogoFault([]byte(text)); (got != "") != fault {
			t.Errorf("the logo %.10q: %q", text, got)
		}
	}
	none := newKit(t, options{}) // without sessions
	none.visitor().open("x").want(http.StatusNotFound)
}
