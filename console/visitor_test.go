package console_test

import (
	"crypto/tls"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
)

// visitor makes requests like a browser, and also requests that no browser would make.
type visitor struct {
	*kit
	cookies map[string]string
	from    string // address
	host    string // in the browser's address bar
	tls     bool   // to this server, without a proxy
	header  map[string]string
}

func (k *kit) visitor() *visitor {
	return &visitor{kit: k, cookies: map[string]string{}, from: "192.0.2.1:1234", header: map[string]string{}}
}

// copy returns another visitor with the same cookies.
func (v *visitor) copy() *visitor {
	other := v.visitor()
	other.cookies = maps.Clone(v.cookies)
	return other
}

// reply is an answer to a visitor.
type reply struct {
	*visitor
	request string
	status  int
	header  http.Header
	body    string
	cookies map[string]*http.Cookie
}

func (v *visitor) get(path string) reply {
	v.Helper()
	return v.do(httptest.NewRequest(http.MethodGet, v.below(path), nil))
}

// post sends a form from a page of the console.
func (v *visitor) post(path string, form url.Values) reply {
	v.Helper()
	r := httptest.NewRequest(http.MethodPost, v.below(path), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(r)
}

// below puts the base path in front of a path that lacks it.
func (k *kit) below(path string) string { return k.base + strings.TrimPrefix(path, k.base) }

func (v *visitor) do(r *http.Request) reply {
	v.Helper()
	r.RemoteAddr = v.from
	if v.host != "" {
		r.Host = v.host
	}
	if v.tls {
		r.TLS = &tls.ConnectionState{}
	}
	for name, value := range v.header {
		r.Header.Set(name, value)
	}
	for name, value := range v.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	recorder := httptest.NewRecorder()
	v.handler.ServeHTTP(recorder, r)
	a := reply{
		visitor: v, request: r.Method + " " + r.URL.RequestURI(), status: recorder.Code,
		header: recorder.Header(), body: recorder.Body.String(), cookies: map[string]*http.Cookie{},
	}
	for _, cookie := range recorder.Result().Cookies() {
		a.cookies[cookie.Name] = cookie
		if v.cookies[cookie.Name] = cookie.Value; cookie.MaxAge < 0 {
			delete(v.cookies, cookie.Name)
		}
	}
	return a
}

// signIn signs in with a key, which must succeed.
func (v *visitor) signIn(with key) reply {
	v.Helper()
	return v.post("/console/sign-in", url.Values{"secret": {with.Secret}}).goes("/console")
}

// want checks the status and the text of the page.
func (a reply) want(status int, parts ...string) reply {
	a.Helper()
	if a.status != status {
		a.Errorf("%s: status %d, want %d", a.request, a.status, status)
	}
	for _, part := range parts {
		if !strings.Contains(a.body, part) {
			a.Errorf("%s: the page does not say %q:\n%s", a.request, part, a.body)
		}
	}
	return a
}

// goes checks where a redirect leads.
func (a reply) goes(path string) reply {
	a.Helper()
	a.want(http.StatusSeeOther)
	if got := a.header.Get("Location"); got != a.base+path {
		a.Errorf("%s leads to %q, want %q", a.request, got, a.base+path)
	}
	return a
}
