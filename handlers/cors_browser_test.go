//go:build full

package handlers_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"

	"apikeyd/apikey"
	"apikeyd/handlers"
	browsertest "apikeyd/internal/testkit/browser"
)

// A script of a configured origin uses the API in a real browser, and one of another origin does not.
func TestCORSInBrowser(t *testing.T) {
	t.Parallel()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<!doctype html><link rel="icon" href="data:,"><title>App</title>`)
	})
	app, other := httptest.NewServer(page), httptest.NewServer(page)
	t.Cleanup(app.Close)
	t.Cleanup(other.Close)
	k := newKit(t, func(c *handlers.Config) { c.CORSOrigins = []string{app.URL} })
	caller := k.add("acme", "a key in a browser", apikey.ScopeRead, apikey.ScopeWrite)
	browser := &browsertest.Browser{}
	t.Cleanup(browser.Close)
	script := fmt.Sprintf(`(async () => {
		const base = "http://%s/v1/api-keys", headers = {"x-api-key": %q, "content-type": "application/json"};
		try {
			const made = await fetch(base, {method: "POST", headers, body: JSON.stringify({name: "by a script", expires_at: "2090-01-01T00:00:00Z"})});
			const gone = await fetch(base + "/by%%20a%%20script", {method: "DELETE", headers});
			return [made.status, made.headers.get("location") !== null, gone.status].join(" ");
		} catch (e) { return e.name; }
	})()`, k.host, caller.Secret)
	for origin, want := range map[string]string{app.URL: "201 true 200", other.URL: "TypeError"} {
		tab, seen := browser.Profile(t).Tab(t, origin, 800, 600)
		seen.Allow("http://" + k.host)
		if origin == other.URL {
			seen.Expect("blocked by CORS policy")
			seen.Expect("failed to load")
			seen.Expect("Failed to load")
		}
		k.must(chromedp.Do(tab, chromedp.Navigate(origin+"/")))
		got := read(tab, k, chromedp.Evaluate[string]("window.result = ''; "+script+".then(r => { window.result = r }); ''"))
		for got == "" {
			got = read(tab, k, chromedp.Evaluate[string]("window.result"))
		}
		if got != want {
			t.Errorf("a script of %s gets %q, want %q", origin, got, want)
		}
	}
}
