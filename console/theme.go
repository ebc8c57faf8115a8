package console

import (
	"net/http"
	"strings"

	"apikeyd/apikey"
)

// themeCookie remembers the reader's theme. It is no secret: the script of /docs reads it.
const themeCookie = "apikeyd_theme"

// themeTime is how long it is remembered, in seconds.
const themeTime = 365 * 24 * 60 * 60

// theme is a choice of colours.
type theme struct{ Value, Label string }

// Themes are the choices. The first is what the browser asks for.
func (view) Themes() []theme { return []theme{{"", "System"}, {"light", "Light"}, {"dark", "Dark"}} }

// Theme is the reader's choice.
func (p view) Theme() string {
	chosen, _ := cookieValue(p.visit.r, themeCookie+cookieSuffix(p.visit.r))
	if chosen == "light" || chosen == "dark" {
		return chosen
	}
	return ""
}

// ThemeReturn is where to return to after a choice. It is empty if the page cannot be asked for again, because it answers
// a form or shows a secret once.
func (p view) ThemeReturn() string {
	r := p.visit.r
	if r.Method != http.MethodGet || p.visit.typed() || strings.HasSuffix(r.URL.Path, "/secret") {
		return ""
	}
	return apikey.WithoutSecrets(r.URL.RequestURI())
}

// chooseTheme remembers a theme and returns to the page.
func chooseTheme(v *visit) error {
	chosen, age := v.form.Get("theme"), themeTime
	if chosen != "light" && chosen != "dark" {
		chosen, age = "", -1
	}
	c := cookie(v.r, themeCookie+cookieSuffix(v.r), chosen, "/", age) //nolint:gosec // G124: it holds no secret
	c.HttpOnly = false
	reader, _ := v.sentSession(v.r) // a reader without one is in no frame
	http.SetCookie(v.w, v.forFrame(reader, c))
	return v.redirect(ownPath(v.form.Get("return")))
}
