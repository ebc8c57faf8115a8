//go:build full

package console_test

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// A webhook is created with the keyboard, shows its secret once, sends a test, and is deleted.
func TestWebhooksInABrowser(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	b := k.browse()
	b.signIn(k.admin)
	b.click(".parts a[href='/console/webhooks']")
	b.at("/console/webhooks")
	b.click("main a[role=button]")
	b.at("/console/webhooks/new")
	b.until("document.activeElement.id === 'url'")
	b.click("[name=event][value='api_key.leaked']")
	b.fill("#url", "https://hooks.example.com/in")
	b.press(kb.Enter)
	b.wait("#stored")
	b.want("#secret", "whsec_")
	b.click("#stored [type=checkbox]")
	b.click("#stored [type=submit]")
	b.wait("#deliveries")
	b.want("h1", "https://hooks.example.com/in", "enabled")
	b.want("#deliveries", "There are no deliveries.")
	if id := k.hook().ID; b.path() != hookPage(id) {
		t.Errorf("the page is %s, want that of %s", b.path(), id)
	}
	b.click("form[action$='/test'] button")
	b.want(".notice", "A test event is on its way")
	b.want("#deliveries", "webhook.test", "waiting")
	// The page looks again by itself while a delivery waits.
	b.until(`document.querySelector("#deliveries").dataset.old = "yes"`)
	b.until(`!document.querySelector("#deliveries").dataset.old`)
	b.want("#deliveries", "webhook.test", "waiting")
	b.click("form[action$='/disable'] button")
	b.want("h1", "disabled")
	b.click("a[href$='/delete']")
	b.click("main button.danger")
	b.at("/console/webhooks")
	b.want(".notice", "was deleted.")
}
