//go:build full

package console_test

import "testing"

// A chosen theme holds against the browser's, on all pages and on that of the contract, which leads back.
func TestThemeInABrowser(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	b := k.browse()
	b.signIn(k.admin)
	background := "getComputedStyle(document.documentElement).backgroundColor"
	b.see(look{"light", 1280, 900})
	light := evaluate[string](b, background)
	b.click(".theme [value=dark]")
	b.until("document.documentElement.dataset.theme === 'dark'")
	dark := evaluate[string](b, background)
	b.see(look{"dark", 1280, 900})
	if same := evaluate[string](b, background); dark == light || same != dark {
		t.Errorf("the background is %s in light, %s in dark, and %s if the browser asks for it", light, dark, same)
	}
	b.isClean("theme-dark")
	b.see(look{"light", 1280, 900})
	b.click(".parts a[href='/docs']")
	b.until("document.documentElement.classList.contains('dark-mode') && document.querySelector('.opblock')")
	b.shoot(*screens, "docs-dark")
	b.click("#back")
	b.at("/console")
	b.click(".theme [value=light]")
	b.until("document.documentElement.dataset.theme === 'light'")
	b.see(look{"dark", 1280, 900})
	if now := evaluate[string](b, background); now != light {
		t.Errorf("in a dark browser, the light theme is %s", now)
	}
	b.isClean("theme-light")
	b.click(".theme [value='']")
	b.see(look{"dark", 1280, 900})
	b.until("!document.documentElement.dataset.theme")
	if now := evaluate[string](b, background); now != dark {
		t.Errorf("in a dark browser, the system's theme is %s", now)
	}
}
