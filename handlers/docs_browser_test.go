//go:build full

package handlers_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"apikeyd/apikey"
	browsertest "apikeyd/internal/testkit/browser"
)

// TestDocsInBrowser uses /docs as a reader does: it enters a key and tries an operation.
func TestDocsInBrowser(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	reader := k.add("acme", "a key to be seen", apikey.ScopeRead)
	origin := "http://" + k.host
	browser := &browsertest.Browser{}
	t.Cleanup(browser.Close)
	page, seen := browser.Profile(t).Tab(t, origin, 1280, 1600)

	const operation = "#operations-API_Keys-listApiKeys "
	k.must(chromedp.Do(page,
		chromedp.Navigate(origin+"/docs"),
		chromedp.Click(chromedp.CSS(".btn.authorize")),
		chromedp.SendKeys(chromedp.CSS("#api_key_value"), reader.Secret),
		chromedp.Click(chromedp.CSS(".modal-btn.authorize")),
		chromedp.Click(chromedp.CSS(".btn-done")),
		chromedp.Click(chromedp.CSS(operation+".opblock-summary-control")),
		chromedp.WaitVisible(chromedp.CSS(operation+"[data-param-name=page] input")),
		chromedp.Click(chromedp.CSS(operation+".execute")),
	))
	const answer = operation + ".live-responses-table tbody "
	status := read(page, k, chromedp.Text(chromedp.CSS(answer+".response-col_status")))
	body := read(page, k, chromedp.Text(chromedp.CSS(answer+".highlight-code")))
	if !strings.HasPrefix(status, "200") || !strings.Contains(body, reader.Name) {
		k.Errorf("listApiKeys answered %q\n%s", status, body)
	}
	kept := read(page, k, chromedp.Evaluate[string](
		`JSON.stringify([localStorage, sessionStorage, document.cookie])`))
	if kept != `[{},{},""]` {
		k.Errorf("the page keeps %s", kept)
	}
	own := 0
	for _, url := range seen.Requests() {
		if strings.HasPrefix(url, origin+"/") {
			own++
		}
	}
	if own < len(docsTypes) { // the page loads all but openapi.yaml, and makes a call
		k.Errorf("only %d requests were seen: %q", own, seen.Requests())
	}
}

// read evaluates an expression in the page.
func read(page context.Context, k *kit, ask chromedp.Action[string]) string {
	k.Helper()
	text, err := chromedp.Run(page, ask)
	k.must(err)
	return text
}
