//go:build full

package console_test

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// A row's menu works with the keyboard, with and without scripts.
func TestMenusInABrowser(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	spare := k.spare()
	for _, scripts := range []bool{true, false} {
		b := k.browse()
		b.signIn(k.owner)
		b.scripts(scripts)
		b.open("/console/keys?q=spare")
		open := "document.querySelector('.menu[open]')"
		focus := func(css string) {
			evaluate[any](b, "document.querySelector(\""+css+"\").focus()")
		}
		if scripts {
			focus(".menu summary")
			b.press(kb.Enter)
			b.until(open)
			b.press(kb.Escape)
			b.until("!" + open + " && document.activeElement.matches('.menu summary')")
			b.press(kb.Enter)
			b.until(open)
			focus("#q")
			b.until("!" + open)
			b.click(".menu summary")
			b.until(open)
			b.want(".menu", "Copy id", spare.ID.String())
			for _, item := range evaluate[[]string](b, `[...document.querySelectorAll(".menu[open] :is(a, button)")].filter(
				e => e.checkVisibility() && getComputedStyle(e).color === getComputedStyle(e.closest("ul")).backgroundColor).map(e => e.innerText)`) {
				t.Errorf("%s cannot be seen in the menu", item)
			}
		} else {
			b.click(".menu summary")
			b.until(open)
		}
		b.click(".menu [formaction$='/suspend']")
		b.want(".notice", "was suspended")
		b.at("/console/keys?q=spare")
		b.click(".menu summary")
		b.click(".menu [formaction$='/resume']")
		b.want(".notice", "is no longer suspended")
		b.click(".menu summary")
		b.click(".menu a[href$='/rotate']")
		b.want("h1", "Rotate "+spare.Name)
		b.click(".trail a:last-child")
		b.at(pathOf(spare.ID))
		b.click(".trail a")
		b.at("/console/keys")
	}
}
