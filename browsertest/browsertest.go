// Package browsertest opens Debian's chromium for a test, and keeps what its pages ask for
// and what it complains about. It is for tests only.
package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a browser may run.
const patience = 3 * time.Minute

// Open starts a browser with a window of so many pixels, which ends with the test. Without
// chromium the test is skipped, but fails if CI is set.
func Open(t testing.TB, width, height int) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if _, ci := os.LookupEnv("CI"); ci {
			t.Fatal("chromium is missing")
		}
		t.Skip("this test needs chromium, which this machine does not have")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // CI runs as root, where the sandbox cannot start
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.WindowSize(width, height),
	)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	ctx, end := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(end)
	return ctx
}

// Tab opens a tab of a browser, or of the browser of another tab. At the end of the test it
// fails the test for each complaint that was not expected, and for each request to anybody
// but the origin.
func Tab(browser context.Context, t testing.TB, origin string) (context.Context, *Seen) {
	t.Helper()
	s := &Seen{origins: []string{origin}}
	ctx, end := chromedp.NewContext(browser, chromedp.WithListener(s.listen))
	t.Cleanup(end)
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.check(t) })
	return ctx, s
}

// Seen is what a tab asked for, and what the browser complained about.
type Seen struct {
	mu         sync.Mutex
	requests   []string
	complaints []string
	expected   []string
	origins    []string
}

// Allow tells of an origin that may be asked too.
func (s *Seen) Allow(origin string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.origins = append(s.origins, origin)
}

// Expect tells of a complaint that is meant to come, by a part of it.
func (s *Seen) Expect(part string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = append(s.expected, part)
}

// Requests returns the addresses that were asked for.
func (s *Seen) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func (s *Seen) listen(event any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		s.requests = append(s.requests, e.Request.URL)
	case *network.EventLoadingFailed:
		if !e.Canceled { // as what a page asked for is when it is left
			s.complaints = append(s.complaints, "failed to load: "+e.ErrorText)
		}
	case *log.EventEntryAdded: // where a violated policy is told
		if e.Entry.Level != log.EntryLevelVerbose { // advice, such as on forms
			s.complaints = append(s.complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		s.complaints = append(s.complaints, fmt.Sprintf("%s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			text := "console.error:"
			for _, arg := range e.Args {
				text += " " + arg.Description + string(arg.Value)
			}
			s.complaints = append(s.complaints, text)
		}
	}
}

func (s *Seen) check(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, url := range s.requests {
		ours := func(origin string) bool { return strings.HasPrefix(url, origin+"/") }
		if !slices.ContainsFunc(s.origins, ours) && !strings.HasPrefix(url, "data:") {
			t.Errorf("the page asked another host: %s", url)
		}
	}
	for _, complaint := range s.complaints {
		if !slices.ContainsFunc(s.expected, func(part string) bool { return strings.Contains(complaint, part) }) {
			t.Errorf("the browser says: %.300s", complaint)
		}
	}
}
