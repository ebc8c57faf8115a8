//go:build full

package console_test

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// The filters are chosen and removed with the keyboard, with and without scripts.
func TestFiltersInABrowser(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	k.add("globex", "import", "reports:read")
	k.add("globex", "export", "reports:write")
	for _, scripts := range []bool{true, false} {
		b := k.browse()
		b.signIn(k.admin)
		b.scripts(scripts)
		b.open("/console/keys?status=active")
		focus := func(css string) { evaluate[any](b, "document.querySelector(\""+css+"\").focus()") }
		isOpen := "document.querySelector('.more[open]')"
		focus(".more summary")
		b.press(kb.Enter)
		b.until(isOpen)
		b.press(kb.Tab)
		b.press("globex" + kb.Tab + "reports:read")
		if scripts {
			b.at("/console/keys?owner=globex&scope=reports%3Aread&status=active") // while it is typed
			b.isClean("filters")
			b.press(kb.Escape)
			b.until("!" + isOpen + " && document.activeElement.matches('.more summary')")
			b.press(kb.Enter + kb.Tab + kb.Enter)
			b.until("!" + isOpen)
		} else {
			b.press(kb.Enter)
			b.at("/console/keys?q=&owner=globex&scope=reports%3Aread&status=active")
		}
		b.want("tbody", "import")
		b.want(".removable", "owner globex ×", "scope reports:read ×", "Clear all")
		b.until("document.querySelectorAll('tbody tr').length === 1")
		focus(".removable li:nth-child(2) a")
		b.press(kb.Enter)
		b.at("/console/keys?owner=globex&status=active")
		b.until("document.querySelectorAll('tbody tr').length === 2 && !document.querySelector('#scope').value")
		b.click(".removable li:nth-child(2) a")
		b.at("/console/keys")
	}
}
