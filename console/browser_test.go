//go:build full

package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	browsertest "apikeyd/internal/testkit/browser"
	"apikeyd/internal/testkit/program"
)

// browser is one tab of a browser.
type browser struct {
	*kit
	profile *browsertest.Profile
	ctx     context.Context //nolint:containedctx // chromedp's tab is a context
	origin  string
	seen    *browsertest.Seen
}

// oneBrowser is the browser that all tests share.
var oneBrowser = share(&browsertest.Browser{})

// browse opens a tab with its own cookies, which is closed when the test ends. Unexpected messages of
// the browser fail the test, and so do requests to other servers.
func (k *kit) browse() *browser {
	k.Helper()
	return k.tab(oneBrowser.Profile(k.T))
}

// another opens another tab, with the same cookies.
func (b *browser) another() *browser {
	b.Helper()
	return b.tab(b.profile)
}

func (k *kit) tab(profile *browsertest.Profile) *browser {
	k.Helper()
	b := &browser{kit: k, profile: profile, origin: k.URL + k.base}
	b.ctx, b.seen = profile.Tab(k.T, k.URL, 1280, 900)
	// Leaving a page cancels its requests, which htmx reports.
	b.seen.Expect("htmx:sendAbort")
	b.seen.Expect("htmx:afterRequest")
	return b
}

// do runs steps, each with a generous timeout.
func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	for i, step := range steps {
		ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
		err := chromedp.Do(ctx, step)
		cancel()
		if err != nil {
			b.Fatalf("step %d of %d: %v\nthe page %s:\n%s", i+1, len(steps), err, b.path(), b.text("body"))
		}
	}
}

// open opens a page of the console.
func (b *browser) open(path string) {
	b.Helper()
	b.do(chromedp.Navigate(b.origin + path))
	b.ready()
}

// ready waits until the page's scripts have run and the page has set its initial focus. Before that,
// shortcuts do not work, a form is sent as if there were no script, and the focus may move while a
// test types.
func (b *browser) ready() {
	b.Helper()
	b.until(`document.readyState === "complete" && (document.isReady ||=
		!document.querySelector("[autofocus]") || document.activeElement !== document.body)`)
}

// click clicks the element that a selector finds.
func (b *browser) click(css string) { b.Helper(); b.ready(); b.do(chromedp.Click(chromedp.CSS(css))) }

// wait waits until the element that a selector finds is visible.
func (b *browser) wait(css string) {
	b.Helper()
	b.until(fmt.Sprintf("document.querySelector(%q)?.checkVisibility({visibilityProperty: true})", css))
}

// fill replaces the text of a field by typing.
func (b *browser) fill(css, text string) {
	b.Helper()
	b.ready()
	_ = evaluate[string](b, fmt.Sprintf("document.querySelector(%q).value = ''", css))
	b.do(chromedp.SendKeys(chromedp.CSS(css), text))
}

// press presses keys, wherever the focus is. A key that the page handles is not typed as well.
func (b *browser) press(keys string) {
	b.Helper()
	b.ready()
	b.do(chromedp.KeyEvent(keys, func(k *input.DispatchKeyEventParams) {
		if k.Type == kb.KeyDown {
			k.Type = kb.KeyRawDown
		}
	}))
}

// write types at the end of a field.
func (b *browser) write(css, text string) {
	b.Helper()
	b.ready()
	b.do(chromedp.SendKeys(chromedp.CSS(css), text))
}

// text returns the visible text of an element, or nothing if there is none.
func (b *browser) text(css string) string {
	b.Helper()
	return evaluate[string](b, fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", css))
}

// path returns the address of the page, without the origin.
func (b *browser) path() string {
	b.Helper()
	return evaluate[string](b, "location.pathname + location.search")
}

// until waits until an expression is true.
func (b *browser) until(expression string) {
	b.Helper()
	deadline := time.Now().Add(time.Minute)
	for !evaluate[bool](b, "Boolean("+expression+")") {
		if time.Now().After(deadline) {
			b.Fatalf("timed out waiting for %s\nthe page %s:\n%s", expression, b.path(), b.text("body"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// evaluate evaluates an expression in the page, and retries while the page is being left.
func evaluate[T any](b *browser, expression string, o ...chromedp.EvaluateOption) (value T) {
	b.Helper()
	var err error
	for range 50 {
		ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
		value, err = chromedp.Run(ctx, chromedp.Evaluate[T](expression, o...))
		cancel()
		if err == nil || b.ctx.Err() != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.must(err)
	return value
}

// want waits until a part of the page contains some texts, whatever the line breaks.
func (b *browser) want(css string, parts ...string) {
	b.Helper()
	for _, part := range parts {
		b.until(fmt.Sprintf(`document.querySelector(%q)?.innerText.replace(/\s+/g, " ").includes(%s)`,
			css, jsonText(strings.Join(strings.Fields(part), " "))))
	}
}

// wantNot fails if a part of the page contains a text.
func (b *browser) wantNot(css string, parts ...string) {
	b.Helper()
	text := strings.Join(strings.Fields(b.text(css)), " ")
	for _, part := range parts {
		if strings.Contains(text, part) {
			b.Errorf("%s of %s says %q: %s", css, b.path(), part, text)
		}
	}
}

// at waits until the page has an address.
func (b *browser) at(path string) {
	b.Helper()
	b.until("document.readyState === 'complete' && location.pathname + location.search === " + jsonText(path))
}

// jsonText quotes a text for a script.
func jsonText(text string) string {
	quoted, _ := json.Marshal(text) // cannot fail with text
	return string(quoted)
}

// scripts switches scripts on or off for pages that are opened from now on.
func (b *browser) scripts(on bool) {
	b.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
	b.must(err)
}

// signIn signs in with a key and waits for the next page.
func (b *browser) signIn(with key) {
	b.Helper()
	b.open("/console/sign-in")
	b.signInAgain(with)
	b.wait("header .who")
}

// signInAgain signs in on the current page.
func (b *browser) signInAgain(with key) {
	b.Helper()
	b.wait("#secret")
	b.fill("#secret", with.Secret)
	b.click("main button[type=submit]")
}

// look is a colour scheme and a size of the window.
type look struct {
	scheme        string // of colours: light or dark
	width, height int64
}

// looks returns the looks of a desktop and a phone, in light and dark mode.
func looks() []look {
	return []look{{"light", 1280, 900}, {"dark", 1280, 900}, {"light", 375, 812}, {"dark", 375, 812}}
}

func (l look) String() string { return fmt.Sprintf("%s-%d", l.scheme, l.width) }

// see switches the browser to a look.
func (b *browser) see(l look) {
	b.Helper()
	b.do(chromedp.EmulateViewport(l.width, l.height))
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}},
	})
	b.must(err)
	evaluate[any](b, "document.getAnimations().forEach(a => a.finish())") // colours change slowly
}

// shoot writes a picture of the whole page into a folder, if one is given.
func (b *browser) shoot(folder, name string) {
	b.Helper()
	if folder == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	b.must(err)
	b.must(os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o600))
}

// run runs a shell command, such as a page shows, and returns its output.
func (k *kit) run(command string, environment ...string) string {
	k.Helper()
	program.Path(k.T, "curl")
	shell := exec.CommandContext(k.Context(), "sh", "-ec", command)
	shell.Env = append(os.Environ(), environment...)
	out, err := shell.Output()
	if err != nil {
		k.Fatalf("%s\nfails: %v", command, err)
	}
	return string(out)
}
