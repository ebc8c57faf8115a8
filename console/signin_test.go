//go:build full

package console_test

import (
	"strings"
	"testing"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	b := k.browse()
	b.open("/console/keys?status=active")
	b.fill("#secret", k.owner.Secret[:len(k.owner.Secret)-1]+"x")
	b.seen.Expect("status of 400")
	b.click("main button[type=submit]")
	b.wait("#problem")
	if text := b.text("#problem"); !strings.Contains(text, "mistyped") {
		t.Errorf("a mistyped key: %q", text)
	}
	b.fill("#secret", k.owner.Secret)
	b.click("main button[type=submit]")
	b.wait("header .who")
	if path := b.path(); path != "/console/keys?status=active" {
		t.Errorf("signing in leads to %s, not to the page asked for", path)
	}
	b.click(".who button")
	b.wait("#secret")
	b.open("/console/keys")
	b.wait("#secret")
	if found := k.sent.with(k.owner.Secret); len(found) != 0 {
		t.Errorf("the secret was sent back by %q", found)
	}
}
