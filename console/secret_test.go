//go:build full

package console_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	browserdomain "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// makeKey creates a key with the form and ends on the page of its secret.
func (b *browser) makeKey(name, scope string) (secret, path string) {
	b.Helper()
	b.open("/console/keys/new")
	b.fill("#name", name)
	b.click(".access summary")
	b.click("[value='" + scope + "']")
	b.click(sendForm)
	b.wait("#stored")
	return b.text("#secret"), b.path()
}

// dialogs answers the browser's question before a page is left.
type dialogs struct {
	opened chan struct{}
}

func (b *browser) dialogs() dialogs {
	b.Helper()
	d := dialogs{opened: make(chan struct{}, 10)}
	b.must(chromedp.Listen(b.ctx, func(event any) {
		if e, ok := event.(*page.EventJavascriptDialogOpening); ok && e.Type == page.DialogTypeBeforeunload {
			d.opened <- struct{}{}
		}
	}))
	return d
}

func (d dialogs) answer(b *browser, leave bool) {
	b.Helper()
	<-d.opened
	_, err := chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: leave})
	b.must(err)
}

func TestSecretOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	b := k.browse()
	asked := b.dialogs()
	b.signIn(k.owner)
	secret, path := b.makeKey("nightly", "keys:read")
	keyPath := strings.TrimSuffix(path, "/secret")

	// What a screen reader reads first.
	b.until("document.activeElement.tagName === 'H1'")
	said := b.text("h1") + ". " + evaluate[string](b, "document.getElementById(document.activeElement.getAttribute('aria-describedby')).innerText")
	if said != "Key nightly was created. Its secret is shown once: store it now." {
		t.Errorf("a screen reader says %q", said)
	}
	// One click selects it, one copies it.
	b.click("#secret")
	if selected := evaluate[string](b, "getSelection().toString()"); selected != secret {
		t.Errorf("a click selects %q", selected)
	}
	b.click("[data-copy=secret]")
	b.until("document.querySelector('#announcer').innerText === 'Copied'")
	b.until("document.querySelector('[data-copy=secret]').innerText === 'Copied'")
	if copied := b.clipboard(); copied != secret {
		t.Errorf("copied was %q", copied)
	}
	// Without TLS only the older way to copy works.
	evaluate[string](b, "Object.defineProperty(navigator, 'clipboard', {value: undefined}) && getSelection().empty() || ''")
	b.click("[data-copy=list]")
	b.until("document.querySelector('[data-copy=list]').innerText === 'Copied'")
	if selected := evaluate[string](b, "getSelection().toString()"); selected != b.text("#list") {
		t.Errorf("the older way copies %q", selected)
	}
	k.lists(b.text("#list"))

	// Only this page has it.
	b.nowhere(secret)
	tab := b.another()
	tab.open(path)
	if tab.path() != keyPath {
		t.Errorf("another tab shows %s", tab.path())
	}
	// It cannot be left by mistake.
	b.click("#stored [type=submit]")
	b.until("document.activeElement.matches('#stored [type=checkbox]')")
	evaluate[string](b, "setTimeout(() => document.querySelector('header .parts a').click()) && ''")
	asked.answer(b, false)
	b.want("#secret", secret)
	b.click("#stored [type=checkbox]")
	b.click("#stored [type=submit]")
	b.until("location.pathname === '" + keyPath + "'")
	for _, step := range []struct{ move, leads string }{
		{"back", "/console/keys/new"}, {"forward", keyPath}, {"go", keyPath},
	} {
		b.history(step.move)
		b.until("location.pathname === '" + step.leads + "'")
		if text := b.text("body"); strings.Contains(text, secret) {
			t.Errorf("history.%s leads to the secret", step.move)
		}
	}
	b.nowhere(secret)
	if found := k.sent.with(secret); len(found) != 1 || found[0] != "GET "+path {
		t.Errorf("the secret was sent by %q", found)
	}
}

func TestSecretLeft(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	b := k.browse()
	asked := b.dialogs()
	b.signIn(k.admin)

	// Loaded again, it is gone.
	secret, path := b.makeKey("first", "keys:verify")
	keyPath := strings.TrimSuffix(path, "/secret")
	b.want("main", `/v1/verify"`)
	b.click("h1")
	evaluate[string](b, "setTimeout(() => location.reload()) && ''")
	asked.answer(b, true)
	b.until("location.pathname === '" + keyPath + "'")
	b.nowhere(secret)

	// Left without confirming, and restored from the browser's back-forward cache.
	secret, path = b.makeKey("second", "keys:admin")
	keyPath = strings.TrimSuffix(path, "/secret")
	b.want("main", "Lists all keys")
	k.lists(b.text("#list"))
	evaluate[bool](b, "dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
	if text := evaluate[string](b, "document.documentElement.outerHTML"); strings.Contains(text, secret) {
		t.Error("the page that was left still holds the secret")
	}
	evaluate[string](b, "setTimeout(() => dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))) && ''")
	b.until("location.pathname === '" + keyPath + "'")
	b.nowhere(secret)
}

// history moves in the tab's history: back, forward, or go, which reloads.
func (b *browser) history(move string) {
	b.Helper()
	// A page from the browser's cache still has this mark.
	mark := strconv.FormatInt(time.Now().UnixNano(), 36)
	evaluate[string](b, "window.left = '"+mark+"'; history."+move+"(); ''")
	b.until("window.left !== '" + mark + "' && document.readyState === 'complete'")
}

// nowhere checks that the secret is nowhere where a browser might keep it.
func (b *browser) nowhere(secret string) {
	b.Helper()
	places := map[string]any{"the storage": evaluate[string](b, "JSON.stringify([localStorage, sessionStorage, document.cookie, history.state])")}
	history, err := chromedp.Run(b.ctx, chromedp.NavigationEntries())
	b.must(err)
	places["the history"] = history
	cookies, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{b.origin + b.path(), b.origin + b.path() + "/secret"}})
	b.must(err)
	places["the cookies"] = cookies
	for _, c := range cookies.Cookies {
		if c.Name == "apikeyd_secret" {
			b.Errorf("the cookie with the secret is still there")
		}
	}
	for name, place := range places {
		text, err := json.Marshal(place)
		b.must(err)
		if strings.Contains(string(text), secret) {
			b.Errorf("the secret is in %s", name)
		}
	}
}

// clipboard returns the content of the clipboard.
func (b *browser) clipboard() string {
	b.Helper()
	_, err := chromedp.Call(b.ctx, browserdomain.SetPermission, browserdomain.SetPermissionParams{
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
		Permission:       &browserdomain.PermissionDescriptor{Name: "clipboard-read"}, Setting: browserdomain.PermissionSettingGranted,
	})
	b.must(err)
	evaluate[string](b, "navigator.clipboard.readText().then(text => { window.copied = text }) && ''")
	b.until("window.copied")
	return evaluate[string](b, "window.copied")
}

// lists runs a command that lists keys.
func (k *kit) lists(command string) {
	k.Helper()
	if answer := k.run(command); !strings.Contains(answer, `"data":[`) {
		k.Errorf("the command prints %s", answer)
	}
}
