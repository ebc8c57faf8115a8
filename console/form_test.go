//go:build full

package console_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"apikeyd/apikey"
	"apikeyd/client"
)

const sendForm = "form.key-form [type=submit]"

// choose sets the time of a custom expiry, as the browser's own picker does.
func (b *browser) choose(local string) {
	b.Helper()
	b.click("[name=expires][value=custom]")
	b.set("#custom", local)
}

// set changes a field and sends the event.
func (b *browser) set(css, value string) {
	b.Helper()
	evaluate[bool](b, fmt.Sprintf("(field => { field.value = %q; return field.dispatchEvent(new Event('input', {bubbles: true})) })"+
		"(document.querySelector(%q))", value, css))
}

// value returns the value of a field.
func (b *browser) value(css string) string {
	b.Helper()
	return evaluate[string](b, fmt.Sprintf("document.querySelector(%q).value", css))
}

func (b *browser) values(css string) []string {
	b.Helper()
	return evaluate[[]string](b, fmt.Sprintf("[...document.querySelectorAll(%q)].map(e => e.value)", css))
}

// refused sends the form, waits until it comes back and checks that the refusal has the focus.
func (b *browser) refused(status int) {
	b.Helper()
	b.seen.Expect(fmt.Sprintf("status of %d", status))
	evaluate[bool](b, "document.getElementById('problem')?.remove() ?? true")
	b.click(sendForm)
	b.wait("#problem")
	b.until("document.activeElement.id === 'problem' && document.activeElement.role === 'alert'")
	b.until("!document.querySelector('form.key-form [type=submit]').disabled")
}

// confirm waits for the page that shows what changes, and saves it.
func (b *browser) confirm(says ...string) {
	b.Helper()
	b.wait("#confirm")
	b.want(".changes", says...)
	b.click("#confirm [value=save]")
}

func TestFormCreateAsAdmin(t *testing.T) {
	t.Parallel()
	var slow atomic.Bool
	var sent, clicks atomic.Int32
	answer := make(chan struct{})
	release := sync.OnceFunc(func() { close(answer) })
	defer release()
	k := newKit(t, options{handler: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case slow.Load() && r.Method == http.MethodPost:
				sent.Add(1)
				<-answer
			case r.URL.Path == "/healthz" && sent.Load() > 0 && clicks.Add(1) == 5:
				release()
			}
			next.ServeHTTP(w, r)
		})
	}})
	k.add("customer-7", "taken", "datasets:read")
	b := k.browse()
	_, err := chromedp.Call(b.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Tokyo"})
	k.must(err)
	b.signIn(k.admin)
	b.press("n")
	b.wait("#name")
	b.until("document.activeElement.id === 'name'")
	if all := b.values("[name=expires]"); !slices.Equal(all, []string{"7", "30", "90", "365", "custom"}) {
		t.Errorf("the lifetimes offered are %q", all)
	}
	if chosen := b.values("[name=expires]:checked"); !slices.Equal(chosen, []string{"90"}) {
		t.Errorf("the lifetime chosen at first is %q", chosen)
	}
	b.press(kb.Escape)
	b.press(kb.Escape)
	b.until("location.pathname === '/console/keys'")

	b.open("/console/keys/new")
	b.fill("#name", "taken")
	b.fill("#owner", "customer-7")
	b.choose("2030-01-15T10:30")
	b.want("label[for=custom]", "in your zone (Asia/Tokyo)")
	b.click(".access summary")
	b.click("[value='keys:read']")
	b.until("document.querySelector('datalist#owners option[value=acme]')")
	if offered := b.values("[name=scope]"); !slices.Equal(offered, []string{"datasets:read", apikey.ScopeRead, apikey.ScopeWrite, apikey.ScopeVerify, apikey.ScopeAdmin}) {
		t.Errorf("the scopes offered are %q", offered)
	}
	b.fill("#api-scopes", "datasets:read  a:b")
	b.set("[name=metadata-name]", "plan=x")
	b.set("[name=metadata-text]", "pro\nor more")
	b.click("#more-rows")
	b.until("document.querySelectorAll('.rows .row').length === 3 && document.activeElement.ariaLabel === 'Name of entry 3'")
	b.fill("#limit", "100")
	b.fill("#window", "2")
	b.set("[name=unit]", "3600")
	b.fill("#quota", "100000")
	b.set("#period", "week")
	b.fill("#starts", "7")
	b.refused(409)
	b.want("#name-fault", "has this name")
	for css, want := range map[string]string{"#name": "taken", "#owner": "customer-7", "#custom": "2030-01-15T10:30",
		"#api-scopes": "datasets:read  a:b", "[name=metadata-text]": "pro\nor more", "#limit": "100", "[name=unit]": "3600", "#quota": "100000", "#period": "week", "#starts": "7",
		"[name=scope]:checked": "keys:read", "[name=expires]:checked": "custom"} {
		if got := b.value(css); got != want {
			t.Errorf("%s holds %q instead of %q", css, got, want)
		}
	}
	b.fill("#window", "48")
	b.fill("#starts", "8")
	b.fill("#api-scopes", `datasets:read "a"`)
	b.refused(400)
	b.want("#scopes-fault", "quotes")
	b.want("#window-fault", "1 day")
	b.want("#starts-fault", "day of the week")
	b.click("#problem a[href='#window']")
	b.until("document.activeElement.id === 'window'")

	b.fill("#window", "2")
	b.fill("#starts", "7")
	b.fill("#api-scopes", "datasets:read a:b")
	b.fill("#name", "nightly")
	// Keep clicking until the slow server has seen five more clicks.
	slow.Store(true)
	evaluate[int](b, "setInterval(() => { document.querySelector('"+sendForm+"').click(); fetch('/healthz') }, 20)")
	b.wait("#stored")
	if sent := sent.Load(); sent != 1 {
		t.Errorf("the form was sent %d times", sent)
	}
	made := k.get("customer-7", "nightly")
	end := time.Date(2030, 1, 15, 1, 30, 0, 0, time.UTC)
	if !slices.Equal(made.Scopes, []string{"keys:read", "datasets:read", "a:b"}) || !made.ExpiresAt.Equal(end) ||
		!maps.Equal(made.Metadata, map[string]string{"plan=x": "pro\nor more"}) ||
		made.RateLimit != (client.RateLimit{Limit: 100, Window: 2 * time.Hour}) ||
		made.Quota != (client.Quota{Limit: 100_000, Period: client.Week, StartsOn: 7}) {
		t.Errorf("the key is %+v", made)
	}
}

func TestFormCreateAsOwner(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{longest: 60 * 24 * time.Hour})
	b := k.browse()
	b.signIn(k.owner)
	b.open("/console/keys/new")
	if all := b.values("[name=expires]"); !slices.Equal(all, []string{"7", "30", "longest", "custom"}) {
		t.Errorf("the lifetimes offered are %q", all)
	}
	b.want("#expires-help", "at most 60 days")
	if all := b.values("[name=scope]"); !slices.Equal(all, []string{"datasets:read", apikey.ScopeRead, apikey.ScopeWrite}) {
		t.Errorf("the scopes offered are %q", all)
	}
	if n := len(b.values("#owner, #limit, #quota, #api-scopes")); n != 0 {
		t.Errorf("%d fields are for administrators only", n)
	}
	b.want("#scopes-help", "can only be verified")

	b.fill("#name", "was "+k.owner.Secret)
	b.refused(400)
	b.want("#name-fault", "secret")
	if found := k.sent.with(k.owner.Secret); len(found) != 0 {
		t.Errorf("a secret was sent back by %q", found)
	}
	b.fill("#name", "report")
	b.choose("2099-01-01T00:00")
	b.refused(400)
	b.want("#expires-fault", "at most 60 days")
	b.choose("2001-01-01T00:00")
	b.refused(400)
	b.want("#expires-fault", "future")
	b.click("[name=expires][value=longest]")
	evaluate[string](b, "document.querySelector(\"[value='datasets:read']\").value = 'datasets:write'")
	b.click("[value='datasets:write']")
	b.refused(403)
	b.want("#scopes-fault", "Your key lacks")
	b.click("[value='datasets:write']")
	sent := time.Now()
	b.click(sendForm)
	b.wait("#stored")
	b.want("main", "YOUR-API")
	made := k.get("acme", "report")
	if len(made.Scopes) != 0 || made.RateLimit != (client.RateLimit{}) {
		t.Errorf("the key is %+v", made)
	}
	if lives := made.ExpiresAt.Sub(sent); lives < 60*24*time.Hour-time.Minute || lives > 60*24*time.Hour+time.Minute {
		t.Errorf("the key lives %s", lives)
	}
}

func TestFormForReader(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	reader := k.add("acme", "reader", apikey.ScopeRead)
	b := k.browse()
	b.signIn(reader)
	b.seen.Expect("status of 403")
	for _, path := range []string{"/console/keys/new", "/console/keys/" + reader.ID.String() + "/edit"} {
		b.open(path)
		b.want("main", "lacks the scope keys:write")
	}
}

func TestFormWithoutScript(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	b := k.browse()
	b.scripts(false)
	b.signIn(k.owner)
	b.open("/console/keys/new")
	b.fill("#name", "plain")
	b.click("[name=expires][value=custom]")
	b.want("label[for=custom]", "in UTC")
	evaluate[string](b, "document.querySelector('#custom').value = '2030-01-15T10:30'")
	b.write("[name=metadata-name]", "plan")
	b.write("[name=metadata-text]", "pro")
	b.click(".access summary")
	b.click("[value='keys:read']")
	b.click(sendForm)
	b.wait("#stored")
	secret := b.text("#secret")
	b.click("#stored [type=submit]") // not ticked
	b.want("#secret", secret)
	b.click("#stored [type=checkbox]")
	b.click("#stored [type=submit]")
	made := k.get("acme", "plain")
	b.until("location.pathname === '/console/keys/" + made.ID + "'")
	if !made.ExpiresAt.Equal(time.Date(2030, 1, 15, 10, 30, 0, 0, time.UTC)) || made.Metadata["plan"] != "pro" {
		t.Errorf("the key is %+v", made)
	}
	b.history("back") // asks the server again, which no longer has the secret
	if b.path() != "/console/keys/"+made.ID || strings.Contains(b.text("body"), secret) {
		t.Errorf("going back leads to %s:\n%s", b.path(), b.text("body"))
	}
	b.open("/console/keys/" + made.ID + "/edit")
	b.seen.Expect("status of 400")
	b.fill("#name", "..")
	b.click(sendForm)
	b.wait("#problem")
	b.until("document.activeElement.id === 'problem'")
	b.fill("#name", "plainer")
	b.click(sendForm)
	b.confirm("name: plain", "plainer")
	b.noticed(made.ID, "plainer was changed.")
	if found := k.sent.with(secret); len(found) != 1 {
		t.Errorf("the secret was sent by %q", found)
	}
}

// noticed waits for the page of a key with a notice.
func (b *browser) noticed(id, what string) {
	b.Helper()
	b.at("/console/keys/" + id)
	b.want(".notice", what)
	b.until("document.activeElement.matches('.notice')") // so that it is read out
}
