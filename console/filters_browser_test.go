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
	k.create("globex", "import", map[string]string{"plan": "pro"}, "reports:read")
	k.create("globex", "export", map[string]string{"plan": "pro"}, "reports:write")
	k.create("globex", "other", nil, "reports:read")
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
		b.press("globex" + kb.Tab + "reports:read" + kb.Tab + "plan=pro")
		if scripts {
			b.at("/console/keys?metadata=plan%3Dpro&owner=globex&scope=reports%3Aread&status=active") // while it is typed
			b.isClean("filters")
			b.press(kb.Escape)
			b.until("!" + isOpen + " && document.activeElement.matches('.more summary')")
			b.press(kb.Enter + kb.Tab + kb.Enter)
			b.until("!" + isOpen + " && !document.getElementById('results').ariaBusy") // the answer replaces the links
		} else {
			b.press(kb.Enter)
			b.at("/console/keys?q=&owner=globex&scope=reports%3Aread&metadata=plan%3Dpro&status=active")
		}
		b.want("tbody", "import")
		b.want(".removable", "owner globex ×", "scope reports:read ×", "plan=pro ×", "Clear all")
		b.until("document.querySelectorAll('tbody tr').length === 1")
		focus(".removable li:nth-child(2) a")
		b.press(kb.Enter)
		b.at("/console/keys?metadata=plan%3Dpro&owner=globex&status=active")
		b.until("document.querySelectorAll('tbody tr').length === 2 && !document.querySelector('#scope').value")
		b.want("tbody", "import", "export")
		b.click(".more summary")
		b.fill("#q", "exp") // the form keeps the entry
		b.press(kb.Enter)
		b.want(".removable", "owner globex ×", "plan=pro ×")
		b.until("document.querySelectorAll('tbody tr').length === 1")
		b.want("tbody", "export")
		b.click(".removable li:nth-child(3) a")
		b.at("/console/keys")
	}
}
