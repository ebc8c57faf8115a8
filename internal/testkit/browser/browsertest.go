// Package browsertest opens Debian's chromium for tests, and records the requests of its pages and the
// browser's complaints. It is for tests only.
package browsertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"apikeyd/internal/testkit/program"
)

const (
	patience = 3 * time.Minute // for one profile
	atOnce   = 4               // tests that use the browser
)

// Browser is a browser that tests share. It starts when a test first needs it. The zero Browser is
// ready to use.
type Browser struct {
	mu  sync.Mutex
	tab context.Context //nolint:containedctx // chromedp's browser is the context of its first tab
	end func()

	queue queue
}

// Profile returns an empty profile, which is closed when the test ends. Without chromium the test is
// skipped, or fails if CI is set.
func (b *Browser) Profile(t testing.TB) *Profile {
	t.Helper()
	path := program.Path(t, "chromium")
	tab, err := b.start(path)
	if err != nil {
		t.Fatal(err)
	}
	b.queue.admit(t)
	ctx, cancel := context.WithTimeout(tab, patience)
	t.Cleanup(cancel)
	return &Profile{ctx: ctx}
}

func (b *Browser) start(path string) (context.Context, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tab != nil {
		return b.tab, nil
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // CI runs as root, where the sandbox cannot start
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true),
		// Otherwise each window would have two pages of the browser itself, for the address bar.
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,WebUIOmniboxPopup,WebUIOmniboxAimPopup"),
	)
	ctx, free := chromedp.NewExecAllocator(context.Background(), options...)
	tab, end := chromedp.NewContext(ctx)
	if err := chromedp.Do(tab); err != nil {
		end()
		free()
		return nil, err
	}
	b.tab, b.end = tab, func() { end(); free() }
	return tab, nil
}

// Close closes the browser, if it was started.
func (b *Browser) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end != nil {
		b.end()
	}
}

// Profile has its own cookies and storage. Its tabs share them.
type Profile struct {
	ctx context.Context //nolint:containedctx // the parent of the tabs' contexts
	own bool            // ctx is the first tab's
}

// Tab opens a tab with a page of this size. At the end, each unexpected complaint and each request to
// another origin fails the test.
func (p *Profile) Tab(t testing.TB, origin string, width, height int64) (context.Context, *Seen) {
	t.Helper()
	s := &Seen{origins: []string{origin}}
	options := []chromedp.ContextOption{chromedp.WithListener(s.listen)}
	if !p.own {
		options = append(options, chromedp.WithNewBrowserContext())
	}
	ctx, end := chromedp.NewContext(p.ctx, options...)
	t.Cleanup(end)
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	p.ctx, p.own = ctx, true
	t.Cleanup(func() { s.check(t) })
	// So that every tab has the focus.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatal(err)
	}
	return ctx, s
}

// Seen records the requests of a tab and the browser's complaints.
type Seen struct {
	mu         sync.Mutex
	requests   []string
	complaints []string
	expected   []string
	origins    []string
}

// Allow allows requests to another origin.
func (s *Seen) Allow(origin string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.origins = append(s.origins, origin)
}

// Expect expects complaints that contain a text.
func (s *Seen) Expect(part string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = append(s.expected, part)
}

// Requests returns the requested addresses.
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
		if !e.Canceled { // leaving a page cancels its requests
			s.complaints = append(s.complaints, "failed to load: "+e.ErrorText)
		}
	case *log.EventEntryAdded: // includes violations of the policy
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
			t.Errorf("the page requested another host: %s", url)
		}
	}
	for _, complaint := range s.complaints {
		if !slices.ContainsFunc(s.expected, func(part string) bool { return strings.Contains(complaint, part) }) {
			t.Errorf("the browser says: %.300s", complaint)
		}
	}
}
