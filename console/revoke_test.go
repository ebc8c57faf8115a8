//go:build full

package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"apikeyd/apikey"
)

func TestRevoke(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	idle := k.add("acme", "idle", "datasets:read")
	busy := k.add("acme", `busy  "<b>one</b>" & co`, "datasets:read")
	stronger := k.add("acme", "stronger", "datasets:delete")
	k.use(busy)
	b := k.browse()
	b.signIn(k.owner)

	b.open(pathOf(idle.ID))
	b.click("a[href$='/revoke']")
	b.wait("main form")
	b.want("main", "This cannot be undone", "Last used", "never")
	b.wantNot("main", "type its name")
	b.click("main button[type=submit]")
	b.at(pathOf(idle.ID))
	b.want(".notice", "idle was revoked: its secret is refused from now on.")
	b.want("h1", "revoked")
	if k.valid(idle.Secret) {
		t.Error("a revoked key is good")
	}

	// A key in use is revoked only if its name is typed; the server compares it.
	b.seen.Expect("status of 400")
	b.open(pathOf(busy.ID, "revoke"))
	b.want("main", "It is in use")
	evaluate[bool](b, "document.getElementById('name').required = false")
	b.click("main button[type=submit]")
	b.wait("[role=alert]:not([hidden])")
	b.want("#name-problem", "Type the name")
	b.fill("#name", `busy "<b>one</b>" & co`) // one space
	b.click("main button[type=submit]")
	b.until("document.getElementById('name-problem')?.innerText.includes('This is not the name')")
	b.until(`document.activeElement.matches("[role=alert]:not([hidden])") && document.getElementById("name").value.startsWith("busy ")`)
	if !k.valid(busy.Secret) {
		t.Fatal("it was revoked without its name")
	}
	b.fill("#name", busy.Name)
	b.click("main button[type=submit]")
	b.at(pathOf(busy.ID))
	b.want(".notice", `busy "<b>one</b>" & co was revoked`)
	if bold := evaluate[int](b, "document.querySelectorAll('b').length"); bold != 0 {
		t.Error("markup in a name became markup in the page")
	}
	if k.valid(busy.Secret) {
		t.Error("a revoked key is good")
	}

	b.seen.Expect("status of 403")
	b.open(pathOf(stronger.ID, "revoke"))
	b.click("main button[type=submit]")
	b.wait("[role=alert]:not([hidden])")
	b.want("[role=alert]:not([hidden])", "Nothing was revoked.", "scopes that yours lacks")
}

// TestRevokeInTwoTabs: the second tab says that the key was already revoked.
func TestRevokeInTwoTabs(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	target := k.add("acme", "worker", "datasets:read")
	b := k.browse()
	b.signIn(k.owner)
	other := b.another()
	other.open(pathOf(target.ID, "revoke"))
	b.open(pathOf(target.ID, "revoke"))
	b.click("main button[type=submit]")
	b.at(pathOf(target.ID))
	other.click("main button[type=submit]")
	other.at(pathOf(target.ID))
	other.want(".notice", "worker was already revoked; nothing was changed.")
	other.open(pathOf(target.ID, "revoke"))
	other.want("main", "It was already revoked")
	other.open(pathOf(target.ID, "rotate"))
	other.want("main", "It was revoked")
}

// TestRevokeOwn: revoking one's own key ends the session. The page warns of it, and the sign-in page
// says so.
func TestRevokeOwn(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	b := k.browse()
	b.signIn(k.owner)
	b.open(pathOf(k.owner.ID, "revoke"))
	b.want("main", "revoking it signs you out at once")
	k.must(k.Verifier.Keys.Flush(t.Context()))
	b.open(pathOf(k.owner.ID, "revoke"))
	b.fill("#name", k.owner.Name)
	b.click("main button[type=submit]")
	b.at("/console/sign-in?return=%2Fconsole&why=revoked")
	b.want("#problem", "the key that you were signed in with was revoked")
	b.open("/console/keys")
	b.wait("#secret")
}

// selectKeys selects keys in the table.
func (b *browser) selectKeys(keys ...key) {
	b.Helper()
	for _, k := range keys {
		b.click("[name=id][value='" + k.ID.String() + "']")
	}
}

func TestRevokeSeveral(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	first, second := k.add("acme", "first", "datasets:read"), k.add("acme", "second", "datasets:read")
	busy := k.add("acme", "busy", "datasets:read")
	stronger := k.add("acme", "stronger", "datasets:delete")
	foreign := k.add("other", "foreign", "datasets:read")
	b := k.browse()
	b.signIn(k.owner)

	b.open("/console/keys?q=&status=active")
	b.until("document.querySelector('.choice button').disabled")
	b.selectKeys(first, second)
	b.want("[data-choose=count]", "2 selected")
	b.click(".choice button")
	b.wait("ul.chosen")
	b.want("main", "Revoke 2 keys?", "first", "last used: never")
	b.click("main button[type=submit]")
	b.at("/console/keys?status=active")
	b.want(".notice", "2 keys were revoked: their secrets are refused from now on.")
	b.wantNot("tbody", "first", "second")

	// All on the page: one is in use, and one may not be revoked.
	k.use(busy)
	b.click("[data-choose=all] input")
	b.want("[data-choose=count]", "3 selected")
	b.selectKeys(k.owner)
	b.want("[data-choose=count]", "2 selected")
	b.until("document.querySelector('[data-choose=all] input').indeterminate")
	b.click(".choice button")
	b.wait("ul.chosen")
	b.seen.Expect("status of 400")
	b.fill("#count", "3")
	b.click("main button[type=submit]")
	b.wait("[role=alert]:not([hidden])")
	b.want("#count-problem", "Type 2 to confirm.")
	if !k.valid(busy.Secret) {
		t.Fatal("they were revoked without their number")
	}
	b.fill("#count", "2")
	b.click("main button[type=submit]")
	b.wait("h1[autofocus]")
	b.want("h1", "1 of 2 keys were revoked")
	b.want("ul.chosen", "Revoked: busy", "Not revoked: stronger", "scopes that yours lacks")
	if k.valid(busy.Secret) || !k.valid(stronger.Secret) {
		t.Error("the page does not say what was done")
	}

	b.open("/console/keys/revoke?id=" + foreign.ID.String() + "&id=" + busy.ID.String() + "&id=nothing&id=")
	b.want("main", "No key to revoke", "1 of the selected keys is already revoked", "3 of the selected keys do not exist")
	b.wantNot("main", "foreign")
	b.open("/console/keys/revoke?id=a" + strings.Repeat("&id=a", 200)) // the same one
	b.want("main", "1 of the selected keys does not exist")
	var many strings.Builder
	for range 101 {
		many.WriteString("id=" + apikey.NewID().String() + "&")
	}
	b.open("/console/keys/revoke?" + many.String())
	b.want("main", "At most 100 keys can be revoked at once")
}

// TestRevokeSeveralAndOwn: one's own key is revoked last, so that the others are revoked too.
func TestRevokeSeveralAndOwn(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	older, own := k.add("acme", "older"), k.add("acme", "own", apikey.ScopeRead, apikey.ScopeWrite)
	k.use(own)
	b := k.browse()
	b.signIn(own)
	b.open("/console/keys")
	b.selectKeys(own, older)
	b.click(".choice button")
	b.wait("ul.chosen")
	b.want("ul.chosen li:last-child", "revoking it signs you out")
	b.fill("#count", "2")
	b.click("main button[type=submit]")
	b.at("/console/sign-in?return=%2Fconsole&why=revoked")
	if k.valid(older.Secret) || k.valid(own.Secret) {
		t.Error("not both are revoked")
	}
}

// TestReaderRevokesNothing: a reader is offered no way to change keys and cannot change them.
func TestReaderRevokesNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	target, reader := k.add("acme", "worker"), k.add("acme", "reader", apikey.ScopeRead)
	b := k.browse()
	b.signIn(reader)
	b.open("/console/keys")
	if boxes := evaluate[int](b, "document.querySelectorAll('main [type=checkbox]').length"); boxes != 0 {
		t.Errorf("a reader has %d boxes to tick", boxes)
	}
	b.seen.Expect("status of 403")
	pages := []string{pathOf(target.ID, "revoke"), pathOf(target.ID, "rotate"), "/console/keys/revoke?id=" + target.ID.String()}
	for _, page := range pages {
		b.open(page)
		b.want("[role=alert]:not([hidden])", "lacks the scope keys:write")
		answer, err := k.signedIn(reader).PostForm(k.URL+page, url.Values{"id": {target.ID.String()}, "grace": {"0"}})
		k.must(err)
		k.must(answer.Body.Close())
		if answer.StatusCode != http.StatusForbidden || !k.valid(target.Secret) {
			t.Errorf("the form of %s is answered %d", page, answer.StatusCode)
		}
	}
	answer, err := http.PostForm(k.URL+pathOf(target.ID, "revoke"), nil)
	k.must(err)
	k.must(answer.Body.Close())
	if answer.StatusCode != http.StatusOK || !k.valid(target.Secret) {
		t.Errorf("a stranger's form is answered %d", answer.StatusCode)
	}
}
