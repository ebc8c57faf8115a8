package handlers_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"apikeyd/apikey"
)

// TestDocsInBrowser does what a reader of /docs does: enters a key, tries an operation.
func TestDocsInBrowser(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	reader := k.add("acme", "a key to be seen", apikey.ScopeRead)
	page, seen := k.browse()

	const operation = "#operations-API_Keys-listApiKeys "
	k.must(chromedp.Do(page,
		chromedp.Navigate("http://"+k.host+"/docs"),
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
	seen.check(k)
}

// read asks the page for something.
func read(page context.Context, k *kit, ask chromedp.Action[string]) string {
	k.Helper()
	text, err := chromedp.Run(page, ask)
	k.must(err)
	return text
}

// seen is what a page asked for, and what the browser complained about.
type seen struct {
	mu         sync.Mutex
	requests   []string
	complaints []string
}

// browse opens a browser that ends with the test.
func (k *kit) browse() (context.Context, *seen) {
	k.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if _, ci := os.LookupEnv("CI"); ci {
			k.Fatal("chromium is missing")
		}
		k.Skip("this test needs chromium, which this machine does not have")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // CI runs as root, where the sandbox cannot start
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(1280, 1600),
	)
	ctx, cancel := context.WithTimeout(k.Context(), 2*time.Minute)
	k.Cleanup(cancel)
	ctx, end := chromedp.NewExecAllocator(ctx, options...)
	k.Cleanup(end)
	s := &seen{}
	ctx, closePage := chromedp.NewContext(ctx, chromedp.WithListener(s.listen))
	k.Cleanup(closePage)
	_, err = chromedp.Call(ctx, log.Enable, cdp.Empty{})
	k.must(err)
	return ctx, s
}

func (s *seen) listen(event any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		s.requests = append(s.requests, e.Request.URL)
	case *network.EventLoadingFailed:
		s.complaints = append(s.complaints, "failed to load: "+e.ErrorText)
	case *log.EventEntryAdded: // where a violated policy is told
		if e.Entry.Level != log.EntryLevelVerbose { // advice, such as on forms
			s.complaints = append(s.complaints, e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		s.complaints = append(s.complaints, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			s.complaints = append(s.complaints, fmt.Sprintf("console.error: %.300s", consoleText(e.Args)))
		}
	}
}

func (s *seen) check(k *kit) {
	k.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	own := 0
	for _, url := range s.requests {
		switch {
		case strings.HasPrefix(url, "http://"+k.host+"/"):
			own++
		case !strings.HasPrefix(url, "data:"):
			k.Errorf("the page asked another host: %s", url)
		}
	}
	if own < len(docsTypes) { // the page loads all but openapi.yaml, and makes a call
		k.Errorf("only %d requests were seen: %q", own, s.requests)
	}
	for _, complaint := range s.complaints {
		k.Error("the browser says: " + complaint)
	}
}

func consoleText(args []*runtime.RemoteObject) string {
	var text strings.Builder
	for _, arg := range args {
		text.WriteString(arg.Description + string(arg.Value) + " ")
	}
	return text.String()
}
