//go:build full

package console_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"apikeyd/console"
	"apikeyd/store/storetest"
)

const (
	newKeyPath = "/console/keys/new"
	typed      = `a "name" & <more>, ünïcode`
)

func (b *browser) wantTyped() {
	b.Helper()
	b.wait("#name")
	if got := evaluate[string](b, "document.querySelector('#name').value"); got != typed {
		b.Errorf("what was typed came back as %q", got)
	}
}

// If a session ends while somebody types, nothing is lost, with and without scripts.
func TestExpiredWhileTyping(t *testing.T) {
	t.Parallel()
	c := storetest.NewClock()
	k := newKit(t, options{now: c.Now})
	b := k.browse()
	for _, withoutScripts := range []bool{false, true} {
		b.scripts(!withoutScripts)
		b.signIn(k.owner)
		b.open(newKeyPath)
		b.fill("#name", typed)
		c.Advance(31 * time.Minute)
		b.click(sendForm)
		b.want("#problem", "Your session has ended. Sign in again to continue. This form has changed nothing; what you typed is kept.")
		// A mistyped key loses nothing either.
		b.seen.Expect("status of 400")
		b.fill("#secret", "wrong")
		b.click("main button[type=submit]")
		b.want("#problem", "no apikeyd key")
		b.signInAgain(k.owner)
		b.wantTyped()
		// And it can be sent from there.
		b.fill("#name", fmt.Sprint("scripts off: ", withoutScripts))
		b.click(sendForm)
		b.want("h1", "was created")
		b.store()
	}
}

// A secret sent after the session has ended is not sent back; all else is.
func TestExpiredWhileTrying(t *testing.T) {
	t.Parallel()
	c := storetest.NewClock()
	k := newKit(t, options{now: c.Now})
	b := k.browse()
	b.scripts(false)
	b.signIn(k.admin)
	b.open("/console/try")
	b.fill("#secret", "unsaid")
	b.fill("#scopes", "datasets:read")
	c.Advance(31 * time.Minute)
	b.click("main button[type=submit]")
	b.want("#problem", "what you typed is kept")
	b.signInAgain(k.admin)
	b.wait("#scopes")
	if scopes, secret := b.value("#scopes"), b.value("#secret"); scopes != "datasets:read" || secret != "" {
		t.Errorf("the fields came back as %q and %q", scopes, secret)
	}
	if found := k.sent.with("unsaid"); len(found) != 0 {
		t.Errorf("a field for secrets was sent back by %q", found)
	}
}

func TestTwoTabs(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	b := k.browse()
	b.signIn(k.owner)
	other := b.another()
	other.open(newKeyPath)
	other.fill("#name", typed)
	b.click(".who button")
	b.wait("#secret")
	other.click(sendForm)
	other.want("#problem", "You are signed out. This form has changed nothing; what you typed is kept.")
	other.signInAgain(k.owner)
	other.wantTyped()
	b.open("/console/keys")
	b.wait("header .who") // signed in again in the other tab
}

// A link from another site shows the page to a signed-in reader, although the browser withholds the
// cookie at first, and the sign-in page to others. Neither reloads forever.
func TestLinkFromElsewhere(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	b := k.browse()
	elsewhere := strings.Replace(k.URL, "127.0.0.1", "localhost", 1)
	b.seen.Allow(elsewhere)
	b.seen.Expect("/favicon.ico") // of that other site
	follow := func() {
		b.do(chromedp.Navigate(elsewhere + "/healthz"))
		evaluate[any](b, `(() => { const a = document.createElement("a"); a.href = "`+k.URL+`/console/keys?status=active";
			a.id = "link"; a.textContent = "link"; document.body.replaceChildren(a); })()`)
		b.click("#link")
	}
	asked := func() (n int) {
		for _, url := range b.seen.Requests() {
			if url == k.URL+"/console/keys?status=active" {
				n++
			}
		}
		return n
	}

	follow()
	b.wait("#secret")
	for i := 0; asked() < 2 && i < 1000; i++ {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond) // a page that reloads forever would ask again
	if n := asked(); n != 2 {
		t.Errorf("without a session the page was requested %d times, want 2", n)
	}
	b.signIn(k.owner)
	before := asked()
	follow()
	b.wait("header .who")
	if path := b.path(); path != "/console/keys?status=active" {
		t.Errorf("the link leads to %s", path)
	}
	if n := asked() - before; n != 2 {
		t.Errorf("with a session the page was requested %d times, want 2", n)
	}
}

// after is a handler that can be replaced while it serves.
type after struct{ atomic.Pointer[http.Handler] }

func (a *after) set(h http.Handler) { a.Store(&h) }

func (a *after) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*a.Load()).ServeHTTP(w, r) }

func TestRestartInBrowser(t *testing.T) {
	t.Parallel()
	var serving after
	sessionKey := bytes.Repeat([]byte{7}, console.KeySize)
	k := newKit(t, options{
		console: func(c *console.Config) { c.Key = sessionKey },
		handler: func(h http.Handler) http.Handler { serving.set(h); return &serving },
	})
	first := *serving.Load()
	b := k.browse()
	b.signIn(k.owner)
	k.handler = first
	serving.set(k.again(sessionKey))
	b.open("/console/keys")
	b.wait("header .who")
	b.open(newKeyPath)
	b.fill("#name", typed)
	serving.set(k.again(nil))
	b.click(sendForm)
	b.want("#problem", "Your session has ended.")
	b.signInAgain(k.owner)
	b.wantTyped()
}

func TestFailingServer(t *testing.T) {
	t.Parallel()
	k, api := newSwitched(t)
	b := k.browse()
	b.signIn(k.owner)
	b.seen.Expect("status of 503")
	b.seen.Expect("console.error") // htmx reports it there
	fail := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"status":503,"code":"UNAVAILABLE","message":"the database cannot be written; try again later"}`))
	}
	api.to(fail)
	b.open("/console/keys?status=active")
	b.want("[role=alert]:not([hidden])", "The database cannot be written; try again later.")
	b.want("h1", "The server cannot do this now")
	b.click("main a[role=button]")
	b.want("h1", "The server cannot do this now")
	api.back()
	b.click("main a[role=button]")
	b.wait("#results")

	// A form is kept, and can be sent again.
	b.open(newKeyPath)
	b.fill("#name", "sent twice")
	api.to(fail)
	b.click(sendForm)
	b.want("main form button", "Send it again")
	api.back()
	b.click("main form button")
	b.want("h1", "Key sent twice was created")
	b.store()
	b.open("/console/keys")

	// A failed search says so and keeps the results; then it works again.
	api.to(fail)
	b.fill("#q", "ac")
	b.want("#offline", "The server did not answer as it should")
	b.want("#results", k.owner.Name)
	api.back()
	b.write("#q", "m")
	b.until(`document.querySelector("#offline").hidden`)

	// So does polling.
	b.open("/console")
	b.until("document.readyState === 'complete'")
	api.to(fail)
	evaluate[bool](b, "document.dispatchEvent(new Event('visibilitychange'))")
	b.want("#offline", "The server did not answer as it should")
	api.back()
	evaluate[bool](b, "document.dispatchEvent(new Event('visibilitychange'))")
	b.until(`document.querySelector("#offline").hidden`)
	b.open("/console/keys?q=acm")
	b.seen.Expect("net::ERR")
	k.Stop()
	b.write("#q", "e"+kb.Enter)
	b.want("#offline", "The server did not answer as it should")
	b.want("#results", k.owner.Name)
}

func TestSlowServer(t *testing.T) {
	t.Parallel()
	k, api := newSwitched(t)
	b := k.browse()
	b.signIn(k.owner)
	b.open("/console/keys")
	began, ended := make(chan struct{}, 10), make(chan struct{}, 10)
	api.to(func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	})
	b.fill("#q", "ac")
	b.wait(`#results[aria-busy="true"]`)
	<-began
	api.back()
	b.write("#q", "m")
	b.wait("#results:not([aria-busy])")
	select {
	case <-ended: // the browser cancelled the old request
	case <-time.After(time.Minute):
		t.Error("an abandoned request goes on")
	}
}
