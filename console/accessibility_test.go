//go:build full

package console_test

import (
	"cmp"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// axe returns axe-core, the standard accessibility checker, which make node-modules installs.
func axe(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../client/typescript/node_modules/axe-core/axe.min.js")
	if err == nil {
		return string(text)
	}
	if _, ci := os.LookupEnv("CI"); ci {
		t.Fatal("axe-core is missing: make node-modules")
	}
	t.Skip("this test needs axe-core: make node-modules")
	return ""
}

// runAxe lists each violation of WCAG 2.2 AA and of best practice, and where it is. To save time, it
// omits passed rules and does not preload style sheets, which none of these rules read.
const runAxe = `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
	resultTypes: ["violations"], preload: {assets: ["media"]}}).then(
	found => found.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.target + ": " + n.failureSummary)))`

// show opens each scene in a tab of its reader. Each reader has a subtest. prepare, if not nil, is
// called with the new tab first.
func (k *kit) show(prepare func(*browser), check func(*browser, scene)) {
	k.Helper()
	scenes := map[string][]scene{}
	for _, s := range everyScene() {
		secret := s.as(k).Secret
		scenes[secret] = append(scenes[secret], s)
	}
	for _, theirs := range scenes {
		reader := theirs[0].as(k)
		k.Run("seen by "+cmp.Or(reader.Owner, "nobody"), func(t *testing.T) {
			t.Parallel()
			own := *k
			own.T = t
			b := own.browse()
			b.seen.Expect("status of 400")
			b.seen.Expect("status of 403")
			b.seen.Expect("status of 404")
			b.seen.Expect("Autofocus processing was blocked") // the browser had moved the focus already
			if prepare != nil {
				prepare(b)
			}
			if reader.Secret != "" {
				b.signIn(reader)
			}
			for _, s := range theirs {
				b.open(s.at(b.kit))
				evaluate[any](b, `document.querySelectorAll("details").forEach(d => { d.open = true; })`)
				check(b, s)
			}
		})
	}
}

// axe finds no violations on any scene, in any look.
func TestAxe(t *testing.T) {
	t.Parallel()
	checker := axe(t)
	k := newKit(t, options{})
	k.show(nil, func(b *browser, s scene) {
		evaluate[any](b, checker+"; undefined")
		for _, l := range looks() {
			b.see(l)
			for _, violation := range evaluate[[]string](b, runAxe, chromedp.EvalAwaitPromise) {
				b.Errorf("%s, %s: %s", s.name, l, violation)
			}
		}
	})
}

// isClean makes the same checks on a page that only a form leads to.
func (b *browser) isClean(name string) {
	b.Helper()
	evaluate[any](b, axe(b.T)+"; undefined")
	for _, l := range looks() {
		b.see(l)
		b.shoot(*screens, name+"-"+l.String())
		problems := append(evaluate[[]string](b, runAxe, chromedp.EvalAwaitPromise), evaluate[[]string](b, lookAround)...)
		for _, problem := range problems {
			b.Errorf("%s, %s: %s", name, l, problem)
		}
	}
	b.see(looks()[0])
}

// Checks that axe does not make.
func TestAccessibility(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	k.add("acme", strings.Repeat("a long name ", 20)+"x", "datasets:read", "datasets:"+strings.Repeat("x", 100))
	k.show(nil, func(b *browser, s scene) {
		for _, l := range []look{
			{"light", 1280, 900},
			{"light", 375, 812},
			{"dark", 640, 450}, // 1280 at 200 % (WCAG 1.4.4)
			{"dark", 320, 256}, // 1280 at 400 % (WCAG 1.4.10)
		} {
			b.see(l)
			for _, problem := range evaluate[[]string](b, lookAround) {
				b.Errorf("%s, %s: %s", s.name, l, problem)
			}
		}
		b.see(look{"light", 1280, 900})
		b.tabWalk(s.name)
	})
}

// lookAround finds targets that are too small, elements that make the page scroll sideways, headings
// out of order, and fields, buttons and pages without a name.
const lookAround = `(() => {
	const problems = [];
	const say = (text, e) => problems.push(text + (e ? ": " + e.outerHTML.slice(0, 120) : ""));
	if (document.documentElement.lang !== "en") say("no language");
	if (!/\S · apikeyd$|^API keys$/.test(document.title)) say("the title is " + document.title);
	if (document.querySelectorAll("main").length !== 1) say("not one main");
	const wide = document.documentElement.scrollWidth - innerWidth;
	if (wide > 0) {
		say("it scrolls sideways by " + wide);
		// Report the deepest elements that are too wide.
		[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.firstElementChild)
			.slice(0, 3).forEach(e => say("too wide", e));
	}
	let level = 0;
	const headings = [...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].filter(h => h.checkVisibility());
	if (headings.filter(h => h.tagName === "H1").length !== 1) say("not one h1");
	for (const h of headings) {
		const next = Number(h.tagName[1]);
		if (next > level + 1) say("a heading skips a level", h);
		level = next;
	}
	for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
		const box = e.getBoundingClientRect();
		if (!e.checkVisibility() || box.right < 0) continue;
		// WCAG 2.5.8 excepts links in a sentence.
		const inText = e.matches("p a, small a, figcaption a, li a:not(nav a)") && getComputedStyle(e).display === "inline";
		const label = e.labels?.[0]?.getBoundingClientRect() ?? box;
		if (!inText && (Math.max(box.width, label.width) < 24 || Math.max(box.height, label.height) < 24)) say("smaller than 24 pixels ("+box.width+"×"+box.height+")", e);
		const name = e.labels?.[0]?.innerText || e.getAttribute("aria-label") || e.innerText || e.textContent;
		if (!name?.trim()) say("no name", e);
	}
	return problems;
})()`

// tabWalk presses Tab through the page: every control is reached and shows that it has the focus.
func (b *browser) tabWalk(page string) {
	b.Helper()
	want := evaluate[int](b, `(() => {
		document.activeElement?.blur();
		window.walk = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")]
			.filter(e => e.checkVisibility() && !e.disabled && (e.type !== "radio" || e.checked));
		window.reached = new Set();
		document.getSelection().removeAllRanges();
		return walk.length + 8 * document.querySelectorAll("[type=datetime-local]").length; // which have stops inside
	})()`)
	for range want + 3 {
		b.do(chromedp.KeyEvent(kb.Tab))
		problem := evaluate[string](b, `(() => {
			const e = document.activeElement;
			if (e === document.body || e === document.documentElement || reached.has(e)) return "";
			reached.add(e);
			document.getAnimations().forEach(a => a.finish()); // a shadow that fades shows no focus
			const style = getComputedStyle(e);
			const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none";
			const box = e.getBoundingClientRect();
			if (!seen) return "the focus cannot be seen: " + e.outerHTML.slice(0, 120);
			if (box.right <= 0 || box.bottom <= 0 || box.top >= innerHeight) return "the focus is out of sight: " + e.outerHTML.slice(0, 120);
			return "";
		})()`)
		if problem != "" {
			b.Errorf("%s: %s", page, problem)
		}
	}
	missed := evaluate[[]string](b, `walk.filter(e => !reached.has(e)).map(e => e.outerHTML.slice(0, 120))`)
	for _, element := range missed {
		b.Errorf("%s: the Tab key does not reach %s", page, element)
	}
}

// Everything stays visible with forced colours, and nothing moves with reduced motion.
func TestForcedColoursAndReducedMotion(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	prepare := func(b *browser) {
		_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "forced-colors", Value: "active"}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		b.must(err)
	}
	k.show(prepare, func(b *browser, s scene) {
		for _, problem := range evaluate[[]string](b, `(() => {
			const problems = [];
			for (const e of document.querySelectorAll(".badge svg *, .badge, a[aria-current], button, [role=button]")) {
				const style = getComputedStyle(e), parent = getComputedStyle(e.parentElement);
				if (e.closest("svg") && e.tagName !== "svg" && style.fill === parent.backgroundColor) problems.push("invisible: " + e.outerHTML);
				if (!e.closest("svg") && style.color === style.backgroundColor) problems.push("unreadable: " + e.outerHTML.slice(0, 100));
			}
			for (const a of document.getAnimations()) {
				const timing = a.effect.getComputedTiming();
				if (timing.duration > 1 || timing.iterations === Infinity) problems.push("it moves: " + a.effect.target.outerHTML.slice(0, 100));
			}
			return problems;
		})()`) {
			b.Errorf("%s: %s", s.name, problem)
		}
	})
}
