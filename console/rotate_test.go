//go:build full

package console_test

import (
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/store/storetest"
)

// store confirms on the page of a secret that it is stored.
func (b *browser) store() {
	b.Helper()
	b.click("#stored [type=checkbox]")
	b.click("#stored [type=submit]")
	b.until("!document.getElementById('stored')")
}

func TestRotate(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	target := k.add("acme", "worker", "datasets:read")
	b := k.browse()
	b.signIn(k.owner)

	b.open(pathOf(target.ID))
	b.click("a[href$='/rotate']")
	b.wait("main form")
	if chosen := evaluate[string](b, "document.querySelector('[name=grace]:checked').value"); chosen != "86400" {
		t.Errorf("%s seconds of grace are chosen at first", chosen)
	}
	b.click("main button[type=submit]")
	b.wait("#secret")
	second := b.text("#secret")
	if !k.valid(target.Secret) || !k.valid(second) {
		t.Error("within the grace, not both secrets are good")
	}

	b.store()
	b.at(pathOf(target.ID))
	b.want("h1", "rotating")
	b.want("#grace", "The old secret still works for ", ", until ")
	first := b.text(".countdown")
	b.until("document.querySelector('.countdown').innerText !== '" + first + "'")
	b.want(".countdown", "23:59:")
	b.open("/console/keys?status=rotating")
	b.want("tbody", "worker")
	b.wantNot("tbody", "acme's own")

	// Again, without a grace. The page warns that the previous secret stops working.
	b.open(pathOf(target.ID, "rotate"))
	b.want("main", "That secret stops working now, whatever you choose")
	b.click("input[value='0']")
	b.click("main button[type=submit]")
	b.wait("#secret")
	third := b.text("#secret")
	if k.valid(target.Secret) || k.valid(second) || !k.valid(third) {
		t.Error("not only the newest secret is good")
	}
	for _, secret := range []string{second, third} {
		if found := k.sent.with(secret); len(found) != 1 {
			t.Errorf("a new secret is in the answers to %q", found)
		}
	}
	b.store()
	b.at(pathOf(target.ID))
	b.wantNot("main", "still works")
	b.wantNot("main", "History") // only keys:admin may read it
}

// TestRotateOwn: a reader who rotates their own key stays signed in, whatever the grace.
func TestRotateOwn(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	b := k.browse()
	b.signIn(k.owner)
	b.open(pathOf(k.owner.ID, "rotate"))
	b.want("main", "You stay signed in, with the new secret")
	b.click("input[value='0']")
	b.click("main button[type=submit]")
	b.wait("#secret")
	if k.valid(k.owner.Secret) || !k.valid(b.text("#secret")) {
		t.Error("the secret shown is not the only one that is good")
	}
	b.store()
	b.open("/console/keys")
	b.wait("table.keys")
}

func TestRotateRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	foreign := k.add("other", "foreign", "datasets:read")
	stronger := k.add("acme", "stronger", "datasets:delete")
	gone := k.add("acme", "gone", "datasets:read")
	b := k.browse()
	b.signIn(k.owner)

	b.seen.Expect("status of 404")
	for _, below := range []string{"", "/rotate", "/revoke"} {
		b.open(pathOf(foreign.ID) + below)
		b.want("h1", "There is no such key")
		b.wantNot("body", "foreign")
	}

	b.seen.Expect("status of 403")
	b.open(pathOf(stronger.ID, "rotate"))
	b.click("input[value='3600']")
	b.click("main button[type=submit]")
	b.wait("[role=alert]:not([hidden])")
	b.want("[role=alert]:not([hidden])", "Nothing was rotated.", "scopes that yours lacks")
	b.until("document.activeElement.matches('[role=alert]') && document.querySelector('[value=\"3600\"]').checked")

	b.seen.Expect("status of 400")
	b.open(pathOf(gone.ID, "rotate"))
	evaluate[bool](b, "(document.querySelector('[name=grace]:checked').value = '99999999999999999') && true")
	b.click("main button[type=submit]")
	b.wait("[role=alert]:not([hidden])")
	b.want("[role=alert]:not([hidden])", "Nothing was rotated. Choose how long the old secret keeps working.")

	// Revoked in another tab.
	b.seen.Expect("status of 409")
	b.open(pathOf(gone.ID, "rotate"))
	_, err := k.as(k.owner).Revoke(k.Context(), gone.ID.String())
	k.must(err)
	b.click("main button[type=submit]")
	b.wait("[role=alert]:not([hidden])")
	b.want("[role=alert]:not([hidden])", "Nothing was rotated.", "revoked")
	b.want("main", "It was revoked")
	b.press("\x1b")
	b.at(pathOf(gone.ID))
	b.want("h1", "revoked")
	if buttons := evaluate[int](b, "document.querySelectorAll('.actions a').length"); buttons != 0 {
		t.Errorf("a revoked key has %d buttons", buttons)
	}
}

// TestCountdown: when the grace ends, the page says so without a reload.
func TestCountdown(t *testing.T) {
	t.Parallel()
	c := storetest.NewClock()
	k := newKit(t, options{now: c.Now})
	target := k.add("acme", "worker", "datasets:read")
	reader := k.add("acme", "reader", apikey.ScopeRead)
	b := k.browse()
	b.signIn(reader)
	_, err := k.as(k.owner).Rotate(k.Context(), target.ID.String(), 59*time.Second)
	k.must(err)
	b.open(pathOf(target.ID))
	b.want("#grace", "0:00:")
	c.Advance(time.Minute) // here, and in the browser
	evaluate[bool](b, "Boolean(Date.now = (now => () => now() + 60000)(Date.now))")
	b.until("document.getElementById('announcer').innerText.includes('no longer works')")
	b.until("!document.getElementById('grace') && document.querySelector('h1').innerText.includes('active')")
	if buttons := evaluate[int](b, "document.querySelectorAll('.actions a').length"); buttons != 0 {
		t.Errorf("a reader sees %d buttons", buttons)
	}
}

// TestHistory pages through the audit log of a key.
func TestHistory(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	target := k.add("acme", "worker", "datasets:read")
	for i := range 21 {
		name := "worker " + string(rune('a'+i))
		_, err := k.as(k.owner).Update(k.Context(), target.ID.String(), client.Change{Name: &name})
		k.must(err)
	}
	b := k.browse()
	b.signIn(k.admin)
	b.open("/console/keys/" + strings.ToUpper(target.ID.String()))
	b.at(pathOf(target.ID))
	b.want(".events > li:first-child", "Changed by acme's own", "via http from 127.0.0.1", "name: worker t →", "worker u")
	if events := evaluate[int](b, "document.querySelectorAll('.events > li').length"); events != 20 {
		t.Errorf("%d events are shown at once", events)
	}
	b.click(".pages a[rel=next]")
	b.wait(".pages a:not([rel])")
	b.want(".events > li:last-child", "Created by the operator", "via test", "scopes: datasets:read")
	if path := evaluate[string](b, "document.querySelector('.events a').pathname"); path != pathOf(k.owner.ID) {
		t.Errorf("the actor leads to %s", path)
	}
	b.click(".pages a:not([rel])")
	b.wait(".pages a[rel=next]")

	b.open("/console/keys/admin") // a name leads to the id
	b.at(pathOf(k.admin.ID))
	b.want("main", "This is the key that you are signed in with.")
}
