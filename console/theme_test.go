package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A theme is remembered, on the page itself, so that nothing flashes; another choice is none.
func TestTheme(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "/keys"} {
		k := newKit(t, options{base: base})
		v := k.visitor()
		choose := func(theme, back string) reply {
			return v.post("/console/theme", url.Values{"theme": {theme}, "return": {back}})
		}
		v.get("/console/sign-in").want(http.StatusOK, `<html lang="en">`, `content="light dark"`, `aria-pressed="true">System`)
		if a := choose("dark", "/console/keys?q=x"); a.goes("/console/keys?q=x").cookies["apikeyd_theme"+strings.ReplaceAll(base, "/", "+")].HttpOnly {
			t.Error("the page of the contract cannot read the theme")
		}
		v.get("/console/sign-in").want(http.StatusOK, `<html lang="en" data-theme="dark">`, `content="dark"`, `aria-pressed="true">Dark`)
		v.signIn(k.owner)
		v.get("/console/keys?q=x").want(http.StatusOK, `data-theme="dark"`, `name="return" value="/console/keys?q=x"`)
		choose("light", "https://evil.example/").goes("/console")
		v.get("/console").want(http.StatusOK, `data-theme="light"`)
		for _, bad := range []string{`"><script>`, "sepia", ""} {
			choose(bad, "/console")
			v.get("/console").want(http.StatusOK, `<html lang="en">`)
		}
		v.cookies["apikeyd_theme"] = `dark"><b>`
		v.get("/console").want(http.StatusOK, `<html lang="en">`)
	}
}

// Pages that cannot be asked for again do not offer to leave them.
func TestThemeKeepsForms(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	v.signIn(k.owner)
	v.reveal("/console/keys/new", url.Values{"name": {"made"}, "expires": {"90"}}).lacks("/console/theme")
	v.post("/console/keys/new", url.Values{"name": {""}}).want(http.StatusBadRequest).lacks("/console/theme")
	v.get("/console/keys?q="+k.owner.Secret).want(http.StatusOK, "/console/theme").lacks(k.owner.Secret)
}
