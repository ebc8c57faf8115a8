//go:build full

package console_test

import (
	"net/http"
	"strings"
	"testing"
)

// In a browser, everything works below a base path, and nothing is asked for outside.
func TestBrowserBelowABasePath(t *testing.T) {
	t.Parallel()
	var outside []string
	k := newKit(t, options{base: "/keys", handler: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, "/keys/") {
				outside = append(outside, r.URL.Path)
			}
			next.ServeHTTP(w, r)
		})
	}})
	b := k.browse()
	b.signIn(k.admin)
	b.until("location.pathname === '/keys/console'")
	b.click("a[data-shortcut=n]")
	b.until("location.pathname === '/keys/console/keys/new'")
	b.fill("#name", "made below a path")
	b.click("main button[type=submit]")
	b.wait("#stored")
	command := b.text("main")
	if !strings.Contains(command, k.URL+"/keys/v1/") && !strings.Contains(command, "YOUR-API") {
		t.Errorf("the page does not say how to call this server:\n%s", command)
	}
	b.click("#stored [type=checkbox]")
	b.click("#stored [type=submit]")
	b.until("location.pathname.startsWith('/keys/console/keys/')")
	b.open("/console/keys")
	b.fill("#q", "made below")
	b.until("location.pathname + location.search === '/keys/console/keys?q=made+below' && document.querySelectorAll('tbody tr').length === 1")
	b.click("tbody th a")
	b.until("location.pathname.startsWith('/keys/console/keys/') && document.readyState === 'complete'")
	b.open("/docs")
	b.until("document.querySelector('.opblock')")
	if len(outside) > 0 {
		t.Errorf("asked for outside: %q", outside)
	}
}
