//go:build full

package console_test

import (
	"testing"

	"github.com/chromedp/chromedp/kb"

	"apikeyd/client"
)

// An owner is found, limited, suspended, and loses all its keys.
func TestOwnersInABrowser(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	first, second := k.add("customer-42", "first", "datasets:read"), k.add("customer-42", "second", "datasets:read")
	b := k.browse()
	b.signIn(k.admin)
	b.click(".parts a[href='/console/owners']")
	b.at("/console/owners")
	b.want("tbody", "acme", "admin", "customer-42")
	b.press("/")
	b.until("document.activeElement.id === 'q'")
	b.write("#q", "42")
	b.at("/console/owners?q=42")
	b.wantNot("#results", "acme")
	b.click("tbody a")
	b.at(ownerPage("owner", "customer-42"))
	b.want("main", "Active keys", "2", "the server's default")

	b.click("a[href*='/owners/edit']")
	b.wait("#max_keys")
	b.fill("#max_keys", "7")
	b.fill("#quota", "1000")
	b.press(kb.Enter)
	b.at(ownerPage("owner", "customer-42"))
	b.want(".notice", "customer-42 was changed.")
	b.want("main", "1000 units per month", "1,000 left", "7")
	b.click("form[action$='/suspend'] button")
	b.wait(".warning")
	b.want("h1", "suspended")
	b.click("form[action$='/resume'] button")
	b.until("!document.querySelector('.warning')")
	b.want("h1", "customer-42")
	b.wantNot("h1", "suspended")

	b.click("a[href*='/owners/revoke']")
	b.wait("#count")
	b.want("main", "2 keys stop working", "Suspend the owner first")
	b.seen.Expect("status of 400")
	b.fill("#count", "3")
	b.click("main button[type=submit]")
	b.wait("#count-problem")
	b.want("#count-problem", "Type 2 to confirm")
	b.fill("#count", "2")
	b.click("[name=suspend]") // once more, without it
	b.click("main button[type=submit]")
	b.at(ownerPage("owner", "customer-42"))
	b.want(".notice", "2 keys were revoked")
	b.wantNot("h1", "suspended")
	if k.valid(first.Secret) || k.valid(second.Secret) {
		t.Error("a revoked key is good")
	}
	if o := k.ownerNow("customer-42"); !o.Enabled || o.MaxKeys != 7 || o.Keys != (client.OwnerKeys{Revoked: 2}) {
		t.Errorf("the owner is %+v", o)
	}
	b.click("main a[href*='/audit']")
	b.wait("#events")
	b.want("#events", "customer-42")
}
