package console

import (
	"html/template"
	"net/http"
)

// Patterns are those of all routes.
func Patterns() []string { return (&site{}).routes().patterns }

// FormPath is where NewWithForm has its form.
const FormPath = Path + "/form"

var formPage = template.Must(template.New("form").Parse(`<!doctype html><html lang="en"><title>Form</title><link rel="icon" href="data:,">
<main><h1>Form</h1>
<form method="post" action="/console/form"><input id="name" name="name" value="{{.}}"><input name="secret" value="unsaid"><button>Send</button></form>
</main>`))

// NewWithForm is New with a page of the simplest form, which asks the API when it is sent.
func NewWithForm(c Config) (http.Handler, error) {
	s, err := newSite(c)
	if err != nil {
		return nil, err
	}
	s.pages.Handle("GET "+FormPath, s.signedIn(func(v *visit) error { return formPage.Execute(v.w, v.form.Get("name")) }))
	s.pages.Handle("POST "+FormPath, s.signedIn(func(v *visit) error {
		if _, err := v.api.Get(v.ctx(), v.form.Get("name")); err != nil {
			return err
		}
		v.notify(notice{Text: "Sent “" + v.form.Get("name") + "”."})
		return v.goTo(Path + "/keys")
	}))
	return s.protect(s.pages), nil
}
