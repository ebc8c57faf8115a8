//go:build full

package console_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"apikeyd/apikey"
	"apikeyd/console"
)

// TestSearch: the search is in the address, and the focus stays in the field.
func TestSearch(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	k.add("acme", "alpha")
	k.add("acme", "beta")
	k.add("other", "alphabet")
	b := k.browse()
	b.signIn(k.admin)
	b.open("/console/keys?status=active")
	b.press("/")
	b.press("alpha")
	b.at("/console/keys?q=alpha&status=active")
	b.until("document.querySelectorAll('tbody tr').length === 2")
	b.until("document.activeElement.id === 'q'")
	b.until("document.getElementById('announcer').innerText === '2 keys are shown'")
	b.press("b")
	b.at("/console/keys?q=alphab&status=active")
	b.want("tbody", "alphabet")

	b.do(chromedp.NavigateBack())
	b.at("/console/keys?q=alpha&status=active")
	b.until("document.readyState === 'complete' && document.getElementById('q').value === 'alpha'")
	b.until("document.querySelectorAll('tbody tr').length === 2")
	b.do(chromedp.NavigateForward())
	b.at("/console/keys?q=alphab&status=active")
	b.until("document.readyState === 'complete' && document.getElementById('q').value === 'alphab'")
	b.until("document.querySelectorAll('tbody tr').length === 1")

	b.click(".chips li:first-child a")
	b.at("/console/keys?q=alphab")
	b.open("/console/keys?owner=acme&q=alphab&status=expired")
	b.want("#results", "No expired keys of acme match")
	b.click(".removable a[href]")
	b.at("/console/keys?q=alphab&status=expired")
	b.want("#results", "No expired keys match")
	b.click(".empty a")
	b.at("/console/keys")
	b.until("document.querySelectorAll('tbody tr').length === 5")

	// Names that no key can have match no keys.
	b.open("/console/keys?owner=%00&q=" + strings.Repeat("x", 300))
	b.want("#results", "No keys of")
	b.wantNot("#results", "curl")

	// The search field finds what the table shows, and its text is not taken for an owner.
	b.open("/console/keys")
	prefix := b.text("tbody tr:first-child code")
	b.fill("#q", prefix)
	b.until("document.querySelectorAll('tbody tr').length === 1")
	b.want("tbody", "alphabet")
	b.open("/console/keys")
	b.fill("#q", "OTH")
	b.until("document.querySelectorAll('tbody tr').length === 1")
	b.want("tbody", "alphabet")
	b.fill("#q", "othx")
	b.until("document.querySelectorAll('tbody tr').length === 0")
	b.want("#results", "No keys match", "othx", "name, owner or prefix")
	b.wantNot("#results", "curl")
	b.click(".empty a")
	b.until("document.querySelectorAll('tbody tr').length === 5")
	b.click("tbody tr:first-child .owner a")
	b.at("/console/keys?owner=other")
	b.want(".removable", "owner other", "About the owner")
	b.wantNot(".removable", "Clear all")
	b.press("/")
	b.press("beta")
	b.at("/console/keys?owner=other&q=beta")
	b.want("#results", "No keys of other match")
}

// TestPages goes through more keys than a page has.
func TestPages(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	for i := range 200 {
		k.add("acme", fmt.Sprintf("key %03d", i))
	}
	b := k.browse()
	b.signIn(k.owner)
	b.open("/console/keys?q=key")
	if text := strings.Fields(b.text(".pages ul")); strings.Join(text, " ") != "Page 1 Page 2 Page 3 … Page 8" {
		t.Errorf("the pages are %q", text)
	}
	b.click(".pages li:last-child a")
	b.at("/console/keys?page=8&q=key")
	b.want("tbody", "key 000")
	b.want(".pages [aria-current]", "8")
	b.click(".pages [rel=prev]")
	b.at("/console/keys?page=7&q=key")
	b.open("/console/keys?page=999999999&q=key")
	b.want("#results", "There are only 8 pages.")
	b.click(".empty a")
	b.at("/console/keys?page=8&q=key")
}

// TestNames: any name is shown as it is and has no effect on the page.
func TestNames(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	var scopes []string
	for i := range 64 {
		scopes = append(scopes, fmt.Sprintf("%d:%s", i, strings.Repeat("s", 100)))
	}
	names := []string{
		`<b>bold</b><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `{{.}} ' " & \`, "🔑🇩🇪 émoji",
		"שלום עולם", "\u202eright to left", strings.Repeat("long", 63), strings.Repeat("w i d e ", 31) + "end",
	}
	var keys []key
	for i, name := range names {
		keys = append(keys, k.add("<i>acme</i>", name, scopes[:i*8]...))
	}
	b := k.browse()
	b.signIn(k.admin)
	for _, path := range []string{"/console/keys", pathOf(keys[7].ID), pathOf(keys[6].ID, "revoke"), pathOf(keys[5].ID, "rotate")} {
		b.open(path)
		for _, l := range looks() {
			b.see(l)
			if wide := evaluate[int64](b, "document.documentElement.scrollWidth"); wide > l.width {
				t.Errorf("%s is %d wide at %s", path, wide, l)
			}
			b.shoot(*screens, "names"+strings.ReplaceAll(path, "/", "-")+"-"+l.String())
		}
	}
	b.open("/console/keys")
	if found := evaluate[int](b, "document.querySelectorAll('main b, main i, main img, main script').length"); found != 0 {
		t.Errorf("%d elements come from names", found)
	}
	for i, k := range keys {
		link := fmt.Sprintf("document.querySelector('tbody a[href$=%q]').textContent", k.ID)
		if shown := evaluate[string](b, link); shown != names[i] {
			t.Errorf("%q is shown as %q", names[i], shown)
		}
	}
}

// TestFirstKey: a reader without keys is shown a command that creates the first one, and it works.
func TestFirstKey(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{console: func(c *console.Config) { c.MaxKeyLifetime = time.Hour }})
	b := k.browse()
	b.signIn(k.owner)
	b.open("/console/keys")
	b.wait("#results")
	b.want("#results", "Create the first key for your API")
	b.runCommand(k.owner)
	b.open("/console/keys")
	b.want("tbody", "my first key")
	b.wantNot("#results", "Create the first key for your API")
	b.click(".who button")
	b.wait("#secret")

	b.signIn(k.admin)
	b.open("/console/keys")
	owner := `it's "quoted" $(id) \ <b>`
	b.open("/console/keys?owner=" + url.QueryEscape(owner))
	b.until("document.querySelector('#results pre') && document.querySelector('#results bdi').textContent === " + jsonText(owner))
	b.runCommand(k.admin)
	b.open("/console/keys?owner=" + url.QueryEscape(owner))
	b.want("tbody", "my first key")
	b.click(".who button")
	b.wait("#secret")

	b.signIn(k.add("reading", "reader", apikey.ScopeRead))
	b.open("/console/keys")
	b.want("#results", "ask an administrator for one with keys:write")
	b.wantNot("#results", "curl")
}

// runCommand runs the command that the page shows, with a key.
func (b *browser) runCommand(with key) {
	b.Helper()
	command := b.text("#results pre")
	answer := b.run(command, "APIKEYD_KEY="+with.Secret)
	if !strings.Contains(answer, `"secret":"`) {
		b.Errorf("%s\nprinted %s", command, answer)
	}
}

// TestShortcuts presses the keys that do something anywhere.
func TestShortcuts(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	target := k.add("acme", "worker")
	b := k.browse()
	b.signIn(k.owner)
	b.open("/console/keys")

	b.press("?")
	b.wait("#shortcuts[open]")
	b.want("#shortcuts", "Search keys", "New key")
	b.press("n/")
	b.press("\x1b")
	b.until("!document.querySelector('dialog[open]')")
	b.at("/console/keys")
	b.click(".foot button")
	b.wait("#shortcuts[open]")
	b.click("#shortcuts-on")
	b.press("\r") // the switch is in a form that closes the dialog
	b.until("!document.querySelector('dialog[open]')")
	b.press("/?")
	b.until("document.activeElement.id !== 'q' && !document.querySelector('dialog[open]')")
	b.open("/console/keys")
	b.click(".foot button")
	b.until("!document.getElementById('shortcuts-on').checked")
	b.click("#shortcuts-on")
	b.click("#shortcuts [type=submit]")

	b.press("/")
	b.until("document.activeElement.id === 'q'")
	b.press("n?")
	b.at("/console/keys?q=n%3F")
	b.press("\x1b")
	b.until("document.activeElement.id !== 'q'")

	// They work on other pages too, but do not leave a form.
	b.open("/console")
	b.press("/")
	b.until("location.pathname === '/console/keys' && document.activeElement.id === 'q'")
	b.open(pathOf(target.ID))
	b.press("n")
	b.until("location.pathname === '/console/keys/new' && document.activeElement.id === 'name'")
	b.press("\x1b")
	b.press("/n")
	b.press("?")
	b.wait("#shortcuts[open]")
	b.press("\x1b")
	b.at("/console/keys/new")

	// Escape leaves the field, then the form.
	k.use(target)
	b.open(pathOf(target.ID, "revoke"))
	b.fill("#name", "wor")
	b.press("\x1b")
	b.until("document.activeElement.id !== 'name'")
	b.press("\x1b")
	b.at(pathOf(target.ID))
}
