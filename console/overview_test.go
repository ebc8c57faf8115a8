//go:build full

package console_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/console"
	"apikeyd/store/storetest"
)

func TestOverviewOfAdministrators(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	api, b := k.as(k.admin), k.browse()
	b.signIn(k.admin)
	if path := b.path(); path != "/console" {
		t.Fatalf("signing in leads to %s", path)
	}
	if text := b.text(".parts"); text != "Overview\nKeys\nOwners\nWebhooks\nAudit\nTry it\nServer\nAPI docs" {
		t.Errorf("the parts are %q", text)
	}
	b.want(".chart", "No key was verified in the last 60 minutes.")
	for range 3 {
		_, err := api.Verify(t.Context(), k.owner.Secret)
		k.must(err)
	}
	_, err := api.Verify(t.Context(), "nobody's")
	k.must(err)
	_, err = api.ForOwner("acme").Revoke(t.Context(), k.owner.ID.String())
	k.must(err)

	// The page polls every 30 seconds, and when it becomes visible again.
	b.click(".numbers summary")
	b.until("document.activeElement.id == 'chart-numbers'")
	_ = evaluate[bool](b, "document.dispatchEvent(new Event('visibilitychange'))")
	b.until("document.querySelector('.chart figcaption').innerText.startsWith('3 verified and 1 refused in the last 60 minutes; most in one minute: ')")
	if !evaluate[bool](b, "document.activeElement.id == 'chart-numbers' && document.querySelector('.numbers').open") {
		t.Error("the chart was refreshed, and with it the table closed or the focus lost")
	}
	if said := b.text("#announcer"); said != "" {
		t.Errorf("a refresh said %q", said)
	}
	if text := b.text("#chart-rows"); !strings.Contains(text, "3") || !strings.Contains(b.text(".since"), "Counted by this server alone, since it started") {
		t.Errorf("the numbers are %q", text)
	}
	b.open("/console")
	b.want(".events", "Revoked acme's own of acme by admin", "Created admin of admin by the operator")
	want := "1 active\nvalid now\n0 rotating\nold secret still works\n0 expiring\nwithin 30 days\n" +
		"0 unused\nfor 90 days or more\n0 expired\npast their expiry\n0 suspended\nuntil enabled again\n1 revoked\nended for good"
	if text := strings.ReplaceAll(b.text(".tiles"), "\n\n", "\n"); strings.Join(strings.Fields(text), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("the tiles are %q", text)
	}
	if b.text("#next") != "" {
		t.Error("there are keys, and the page says how to make the first")
	}
	for _, to := range []struct{ tile, path, text string }{
		{"li:nth-child(1)", "/console/keys?status=active", "admin"},
		{"li:nth-child(2)", "/console/keys?status=rotating", "There are no rotating keys"},
		{"li:nth-child(4)", "/console/keys?unused=1", "There are no unused keys"},
		{"li:nth-child(6)", "/console/keys?status=suspended", "There are no suspended keys"},
		{"li:nth-child(7)", "/console/keys?status=revoked", "acme's own"},
	} {
		b.open("/console")
		b.click(".tiles " + to.tile + " a")
		b.wait("#results")
		if path := b.path(); path != to.path {
			t.Errorf("the tile %s leads to %s", to.tile, path)
		}
		b.want("#results", to.text)
	}
}

func TestOverviewOfOwners(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, options{now: clock.Now})
	b := k.browse()
	b.signIn(k.owner)
	if text := b.text(".parts"); text != "Overview\nKeys\nAPI docs" {
		t.Errorf("the parts are %q", text)
	}
	b.want(".next", "Create your first key", "curl -sS '"+k.URL+"/v1/api-keys'")
	k.run(b.text(".next pre"), "APIKEYD_KEY="+k.owner.Secret)
	k.add("somebody", "else's")
	b.open("/console")
	b.want(".newest", "my first key active", "acme's own active")
	if text := b.text("main"); strings.Contains(text, "else's") || strings.Contains(text, "first key for") || b.text("#next") != "" {
		t.Errorf("the page of an owner is %q", text)
	}
	b.want(".tiles", "2 active", "0 unused")
	clock.Advance(91 * 24 * time.Hour) // also ends the session
	b.signIn(k.owner)
	b.want(".tiles", "1 active", "1 expired")
	for path, text := range map[string]string{
		"/console/audit": "The audit log shows the changes of all keys. Your key may not read it: sign in with one that has keys:admin.",
		"/console/try":   "sign in with one that has keys:verify.",
	} {
		b.seen.Expect("status of 403")
		b.open(path)
		b.want("main", text)
	}
	reader := k.add("lone", "reader", apikey.ScopeRead)
	b.signIn(reader)
	b.want(".next", "Your key cannot create keys")
	if b.text(".next pre") != "" {
		t.Error("a reader who may not create keys is told how to")
	}
}

// Charts of an hour, a day and a month, and their numbers as files.
func TestSpans(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	api, b := k.as(k.admin), k.browse()
	_, err := api.VerifyCall(t.Context(), client.Call{Secret: k.owner.Secret, ClientAddress: "203.0.113.7"})
	k.must(err)
	_, err = api.Verify(t.Context(), k.owner.Secret, "lacking")
	k.must(err)
	k.must(k.Verifier.Keys.Flush(t.Context()))
	b.signIn(k.admin)
	key := "/console/keys/" + k.owner.ID.String()
	for _, at := range []struct{ page, span, text string }{
		{"/console", "hour", "1 verified and 1 refused in the last 60 minutes"},
		{"/console", "day", "1 verified and 1 refused in the last 24 hours"},
		{"/console", "month", "1 verified and 1 refused in the last 30 days"},
		{key, "day", "1 verified and 1 refused in the last 24 hours"},
		{key, "hour", "1 verified and 1 refused in the last 60 minutes"},
		{key, "month", "1 verified and 1 refused in the last 30 days"},
	} {
		b.open(at.page)
		b.click("nav[aria-label='Time shown'] li:nth-child(" + map[string]string{"hour": "1", "day": "2", "month": "3"}[at.span] + ") a")
		b.until("document.querySelector(\"nav[aria-label='Time shown'] [aria-current]\").innerText == '" + at.span + "'")
		b.want(".chart", at.text)
		if current := b.text("nav[aria-label='Time shown'] [aria-current]"); current != at.span {
			t.Errorf("%s shows %q instead of %s", at.page, current, at.span)
		}
	}
	b.want(".facts", "from 203.0.113.7")
	get := func(query string, status int) string {
		t.Helper()
		answer, err := k.signedIn(k.admin).Get(k.URL + "/console/usage" + query)
		k.must(err)
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != status {
			t.Errorf("%s: %s, %v", query, answer.Status, err)
		}
		if status == http.StatusOK && !strings.HasPrefix(answer.Header.Get("Content-Disposition"), `attachment; filename="usage-`) {
			t.Errorf("%s: %v", query, answer.Header)
		}
		return string(body)
	}
	if table := get("?span=month&format=csv&key="+k.owner.ID.String(), http.StatusOK); strings.Count(table, "\r\n") != 31 ||
		!strings.HasSuffix(table, ",1,1,0,0,0,0,0,1,0,0\r\n") {
		t.Errorf("the CSV is %q", table)
	}
	if text := get("?span=day", http.StatusOK); !strings.HasPrefix(text, `{"since":"`) || strings.Count(text, `"start":`) != 24 {
		t.Errorf("the JSON is %s", text)
	}
	get("?format=xml", http.StatusNotFound)
	get("?key="+apikey.NewID().String(), http.StatusNotFound)
}

func TestOverviewDoesNotWaitForCounting(t *testing.T) {
	t.Parallel()
	var slow atomic.Bool
	k := newKit(t, options{console: func(c *console.Config) {
		api := c.API
		c.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if slow.Load() && r.URL.Path == "/v1/summary" {
				<-r.Context().Done()
			}
			api.ServeHTTP(w, r)
		})
	}})
	slow.Store(true)
	b := k.browse()
	b.signIn(k.admin)
	b.want("main", "There are so many keys that counting them takes a while.", "No key was verified", "Created admin")
	slow.Store(false)
	b.click("section a[href='/console?count=wait']")
	b.wait(".tiles")
}
