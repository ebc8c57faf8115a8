//go:build full

package console_test

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"apikeyd/store/storetest"
)

// If a session ends while somebody is about to rotate or revoke, nothing is done, and after signing in
// the same page appears with what was chosen and typed.
func TestExpiredWhileChoosing(t *testing.T) {
	t.Parallel()
	c := storetest.NewClock()
	k := newKit(t, options{now: c.Now})
	one, other := k.spare(), k.spare()
	k.use(one)
	b := k.browse()
	b.signIn(k.owner)
	send := func(button string) {
		c.Advance(31 * time.Minute)
		b.click(button)
		b.want("#problem", "This form has changed nothing; what you typed is kept.")
		b.signInAgain(k.owner)
	}

	b.open(pathOf(one.ID, "rotate"))
	b.click("[name=grace][value='604800']")
	send("main button")
	b.want("h1", "Rotate "+one.Name)
	b.until("document.querySelector('[name=grace]:checked').value === '604800'")

	b.open(pathOf(one.ID, "revoke"))
	b.fill("#name", "half of it")
	send("main button.danger")
	b.want("h1", "Revoke "+one.Name)
	if typed := b.value("#name"); typed != "half of it" {
		t.Errorf("what was typed came back as %q", typed)
	}

	b.open("/console/keys")
	b.selectKeys(one, other)
	b.click(".choice button")
	b.want(".chosen", one.Name, other.Name)
	b.fill("#count", "2")
	send("main button.danger")
	b.want(".chosen", one.Name, other.Name)
	if typed := b.value("#count"); typed != "2" {
		t.Errorf("what was typed came back as %q", typed)
	}
	if !k.valid(one.Secret) || !k.valid(other.Secret) {
		t.Error("a key was revoked")
	}
	b.click("main button.danger")
	b.want(".notice", "2 keys were revoked")

	b.press("n")
	b.at("/console/keys/new")
	b.until("document.activeElement.id === 'name'")
	b.press(kb.Escape)
	b.until("document.activeElement.id !== 'name'")
	b.press(kb.Escape)
	b.at("/console/keys")
}
