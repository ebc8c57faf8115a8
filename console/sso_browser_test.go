//go:build full

package console_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"apikeyd/console"
	"apikeyd/internal/sso"
	identitytest "apikeyd/internal/testkit/identity"
)

// frontOf returns a server whose address is known before its handler is.
func frontOf(t *testing.T, handler func() http.Handler) *httptest.Server {
	t.Helper()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler().ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	return front
}

// In a browser, somebody signs in at a real provider, works and signs out.
func TestBrowserSignsOn(t *testing.T) {
	t.Parallel()
	var k *ssoKit
	front := frontOf(t, func() http.Handler { return k.handler })
	provider := identitytest.Start(t, front.URL+console.CallbackPath)
	k = newSSOKit(t, func(p *sso.Config, c *console.Config) {
		p.Issuer, c.SignIn.Callback = provider.URL, front.URL+console.CallbackPath
	})
	b := k.browse()
	b.origin = front.URL
	b.seen.Allow(front.URL)
	b.seen.Allow(provider.URL)
	b.seen.Expect(provider.URL + "/favicon.ico") // the provider has none
	b.open("/console/keys?q=acme")
	b.click("#sso")
	b.wait("#username")
	b.fill("#username", "alice")
	b.fill("#password", identitytest.Password)
	b.click("button[type=submit]")
	b.at("/console/keys?q=acme") // where she wanted to go
	b.want("header .who", "alice@example.com")
	b.click("header .who button")
	b.want("main", "You are signed out here. Sign out at "+strings.TrimPrefix(provider.URL, "http://")+" too")
	b.open("/console/keys")
	b.wait("#sso")
}

// In a browser, a link opens once, looks like the integrator's, and works in a frame on the integrator's site alone.
func TestBrowserOpensALink(t *testing.T) {
	t.Parallel()
	var k *kit
	var mu sync.Mutex
	var answered []string
	const press = `if (!document.documentElement.dataset.theme) document.querySelector(".theme [value=dark]").click()`
	framed := false // then the page of keys presses a button itself: nobody outside its frame can
	front := frontOf(t, func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("X-Forwarded-Proto", "https") // browsers treat localhost as they treat TLS
			if r.URL.Path == "/press.js" {
				w.Header().Set("Content-Type", "text/javascript")
				_, _ = w.Write([]byte(press))
				return
			}
			answer := httptest.NewRecorder()
			k.handler.ServeHTTP(answer, r)
			theme := regexp.MustCompile(`data-theme="\w+"`).FindString(answer.Body.String())
			mu.Lock()
			answered = append(answered, strings.TrimSpace(fmt.Sprint(r.Method, " ", r.URL.Path, " ", answer.Code, " ", theme)))
			if framed && r.URL.Path == "/console/keys" {
				answer.Body.WriteString(`<script src="/press.js"></script>`)
			}
			mu.Unlock()
			maps.Copy(w.Header(), answer.Header())
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
		})
	})
	local := strings.Replace(front.URL, "127.0.0.1", "localhost", 1)
	token := ""
	page := frontOf(t, func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><iframe id="keys" width="900" height="700" src="%s/console/link#%s"></iframe>`, local, token)
		})
	})
	k = newLinkKit(t, func(c *console.Config) { c.Links.Framers = []string{page.URL} })
	b := k.browse()
	b.origin = local
	b.seen.Allow(local)
	b.seen.Expect("403") // a link's second use
	for _, l := range looks() {
		b.see(l)
		link := k.link(k.owner)
		b.open("/console/link#" + link)
		b.at("/console/keys")
		b.want("header", "Acme <keys>")
		b.want("main", k.owner.Name)
		b.wantNot("body", "apikeyd", "bob")
		if colour := evaluate[string](b, "getComputedStyle(document.querySelector('.head [role=button]')).backgroundColor"); colour != "rgb(11, 99, 197)" {
			t.Errorf("%s: the accent colour is %s", l, colour)
		}
		b.open("/docs") // the address without its fragment would be the same
		b.open("/console/link#" + link)
		b.want("main", "This link does not open.")
	}

	token = k.link(k.owner)
	b.seen.Allow(page.URL)
	b.origin = page.URL
	mu.Lock()
	framed, answered = true, nil
	mu.Unlock()
	b.open("/")
	for _, want := range []string{"GET /console/keys 200", `GET /console/keys 200 data-theme="dark"`} { // with the cookies that the frame got
		for deadline := time.Now().Add(time.Minute); ; b.until("true") { // the frame is of another site, so its content cannot be read here
			mu.Lock()
			seen := slices.Clone(answered)
			mu.Unlock()
			if slices.Contains(seen, want) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the frame gets no %q: %q", want, seen)
			}
		}
	}

	stranger := frontOf(t, func() http.Handler { return page.Config.Handler })
	b.origin = stranger.URL
	b.seen.Allow(stranger.URL)
	b.seen.Expect("frame-ancestors")
	b.seen.Expect("ERR_BLOCKED_BY_RESPONSE")
	token = k.link(k.owner)
	b.open("/")
	b.until("document.querySelector('#keys').contentDocument === null") // the browser's error page is of another origin
	if len(k.sessionsOf()) != len(looks())+1 {
		t.Errorf("a link was opened in a stranger's frame: %+v", k.sessionsOf())
	}
}
