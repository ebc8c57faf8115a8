//go:build full

package console_test

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"apikeyd/client"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	k.history(60)
	b := k.browse()
	_, err := chromedp.Call(b.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "America/St_Johns"})
	k.must(err)
	b.signIn(k.admin)
	b.click(".parts a[href='/console/audit']")
	b.wait("#events")
	b.until("document.querySelectorAll('#events > li').length === 50")
	if height := evaluate[int](b, "document.querySelector('#events > li:nth-child(3)').offsetHeight"); height > 40 {
		t.Errorf("a row is %d pixels high", height)
	}
	b.click("#events > li:nth-child(3) summary")
	b.want("#events > li:nth-child(3)", "Changed -named of ", " by admin", "GMT-3:30 via http from 127.0.0.1",
		`name: <key> & "59" → to -named`, "rate limit: 5 calls per minute", "scopes added: a:b", "metadata plan: pro")
	b.click(".pages [rel=next]")
	b.until("location.search.startsWith('?before=') && document.querySelectorAll('#events > li').length == 15")
	b.want("#events > li:last-child", "Created admin of admin by the operator")
	b.click(".pages a")
	b.until("location.search == ''")

	// The filter is folded until it is set.
	if evaluate[bool](b, "document.querySelector('details.filter').open") {
		t.Error("the filter is open on a page that has none")
	}
	b.press("/")
	b.until("document.activeElement.id === 'owner'")
	b.fill("#owner", "=1+1")
	b.do(chromedp.SetValue(chromedp.CSS("#action"), "rotate"))
	b.fill("#actor", k.admin.ID.String())
	b.click("form.audit button")
	b.until("document.querySelectorAll('#events > li').length == 1")
	b.click("#events summary")
	b.want("#events", "Rotated -named of ", "old secret works until:")
	if path := b.path(); !strings.Contains(path, "owner=%3D1%2B1&") || !strings.Contains(path, "action=rotate") {
		t.Errorf("the filters are not in the address %s", path)
	}
	b.want("form.audit", "Since, in your zone")
	b.do(chromedp.SetValue(chromedp.CSS("#since"), "2099-01-01T00:00"))
	b.click("form.audit button")
	b.wait("main .empty")
	if path := b.path(); !strings.Contains(path, "since=2099-01-01T03%3A30") {
		t.Errorf("midnight of Newfoundland is not 03:30 UTC in the address %s", path)
	}
	if value := evaluate[string](b, "document.getElementById('since').value"); value != "2099-01-01T00:00" {
		t.Errorf("midnight came back as %s", value)
	}

	b.seen.Expect("status of 400")
	b.open("/console/audit?actor=somebody&since=yesterday")
	b.want("main", "a filter is invalid", "Must be a time such as")
	b.open("/console/audit?actor=somebody&key=" + k.owner.Secret)
	b.want("form.audit", "Must be the id of a key, or operator.")
	if value := evaluate[string](b, "document.getElementById('actor').value"); value != "somebody" {
		t.Errorf("what was typed became %q", value)
	}
}

// A change of an owner names the owner, and leads to no key.
func TestAuditOfAnOwner(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	_, err := k.as(k.admin).UpdateOwner(t.Context(), "acme", client.OwnerChange{Enabled: new(false)})
	k.must(err)
	b := k.browse()
	b.signIn(k.admin)
	b.open("/console/audit?action=update_owner")
	b.click("#events summary")
	b.want("#events", "Suspended", "the owner acme", "enabled")
	if links := evaluate[int](b, "document.querySelectorAll('#events a[href*=\"00000000\"]').length"); links != 0 {
		t.Errorf("%d links lead to no key", links)
	}
}
