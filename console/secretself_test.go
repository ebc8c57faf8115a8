package console

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/servertest"
)

// TestSecretOfOneself rotates the key that somebody is signed in with: the session goes on
// with the new secret, also when the old one is refused.
func TestSecretOfOneself(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		grace time.Duration
		says  string
	}{
		{0, "The old one is refused from now on."},
		{time.Hour, "The old one is good until"},
	} {
		t.Run(test.grace.String(), func(t *testing.T) {
			t.Parallel()
			var passed atomic.Int64
			start := time.Now()
			now := func() time.Time { return start.Add(time.Duration(passed.Load())) }
			server := servertest.Start(t, servertest.Options{Now: now, Handler: func(api http.Handler) http.Handler {
				return console(t, api, now)
			}})
			key, secret := server.Add(t, "acme", "own", apikey.ScopeRead, apikey.ScopeWrite)
			r := newReader(t, server.URL)
			if status, path, _ := r.send("/sign-in", url.Values{"secret": {secret.Reveal()}}); status != http.StatusOK || path != "" {
				t.Fatalf("signing in leads to %d %s", status, path)
			}
			page := "/keys/" + key.ID.String()
			status, path, body := r.send(page+"/rotate", url.Values{"grace": {strconv.Itoa(int(test.grace.Seconds()))}})
			if status != http.StatusOK || path != page+"/secret" {
				t.Fatalf("rotating leads to %d %s:\n%s", status, path, body)
			}
			for _, part := range []string{"Key <bdi>own</bdi> was rotated", "Its new secret is shown once", test.says} {
				if !strings.Contains(body, part) {
					t.Errorf("the page does not say %q:\n%s", part, body)
				}
			}
			if strings.Contains(body, secret.Reveal()) {
				t.Error("the page shows the old secret")
			}
			for time.Duration(passed.Load()) < test.grace { // not so long that the session is idle
				passed.Add(int64(20 * time.Minute))
				r.send("/keys", nil)
			}
			if status, path, _ = r.send("/keys", nil); status != http.StatusOK || path != "/keys" {
				t.Errorf("the session did not go on: %d %s", status, path)
			}
			if _, path, _ = r.send(page+"/secret", nil); path != page {
				t.Errorf("the secret is shown again, at %s", path)
			}
		})
	}
}

// TestSecretTooLate opens the page of a secret with a cookie that a browser kept too long,
// or that is another session's or key's.
func TestSecretTooLate(t *testing.T) {
	t.Parallel()
	var passed atomic.Int64
	start := time.Now()
	now := func() time.Time { return start.Add(time.Duration(passed.Load())) }
	var pages http.Handler
	server := servertest.Start(t, servertest.Options{Now: now, Handler: func(api http.Handler) http.Handler {
		pages = console(t, api, now)
		return pages
	}})
	_, secret := server.Add(t, "acme", "own", apikey.ScopeRead, apikey.ScopeWrite)
	other, _ := server.Add(t, "acme", "other")
	third, _ := server.Add(t, "acme", "third")
	r := newReader(t, server.URL)
	signIn := func() { r.send("/sign-in", url.Values{"secret": {secret.Reveal()}}) }
	signIn()
	r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	page := func(k apikey.Key) string { return "/keys/" + k.ID.String() }
	for _, test := range []struct {
		name   string
		change func()
		opened apikey.Key
		status int
	}{
		{"in time", func() {}, other, http.StatusOK},
		{"too late", func() { passed.Add(int64(secretTime)) }, other, http.StatusSeeOther},
		{"of another key", func() {}, third, http.StatusSeeOther},
		{"of another session", signIn, other, http.StatusSeeOther},
	} {
		r.send(page(other)+"/rotate", url.Values{"grace": {"0"}})
		kept := r.cookie(page(other)+"/secret", secretCookie)
		test.change()
		request := httptest.NewRequest(http.MethodGet, Path+page(test.opened)+"/secret", nil)
		request.AddCookie(kept)
		request.AddCookie(r.cookie("/keys", plainCookie))
		answer := httptest.NewRecorder()
		pages.ServeHTTP(answer, request)
		if answer.Code != test.status || strings.Contains(answer.Body.String(), "shown once") != (test.status == http.StatusOK) {
			t.Errorf("%s: %d\n%s", test.name, answer.Code, answer.Body)
		}
	}
}

func console(t *testing.T, api http.Handler, now func() time.Time) http.Handler {
	t.Helper()
	pages, err := New(Config{API: api, Log: slog.New(slog.DiscardHandler), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// reader is a browser without scripts.
type reader struct {
	*testing.T
	client *http.Client
	jar    *cookiejar.Jar
	origin string
}

func newReader(t *testing.T, origin string) *reader {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &reader{T: t, client: &http.Client{Jar: jar, Transport: transport}, jar: jar, origin: origin}
}

// cookie is one that goes to a page.
func (r *reader) cookie(path, name string) *http.Cookie {
	r.Helper()
	for _, c := range r.jar.Cookies(r.at(path)) {
		if c.Name == name {
			return c
		}
	}
	r.Fatalf("no cookie %s goes to %s", name, path)
	return nil
}

func (r *reader) at(path string) *url.URL {
	r.Helper()
	u, err := url.Parse(r.origin + Path + path)
	if err != nil {
		r.Fatal(err)
	}
	return u
}

// send opens a page or sends its form, and returns where that leads.
func (r *reader) send(path string, form url.Values) (status int, at, body string) {
	r.Helper()
	var answer *http.Response
	var err error
	if form == nil {
		answer, err = r.client.Get(r.at(path).String())
	} else {
		answer, err = r.client.PostForm(r.at(path).String(), form)
	}
	if err != nil {
		r.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		r.Fatal(err)
	}
	return answer.StatusCode, strings.TrimPrefix(answer.Request.URL.Path, Path), string(text)
}
