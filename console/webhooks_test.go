package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/gen"
	"apikeyd/store"
)

// hook returns a webhook with one delivery, and creates it if there is none.
func (k *kit) hook() client.Webhook {
	k.Helper()
	all, err := k.as(k.admin).Webhooks(k.Context())
	k.must(err)
	if len(all) > 0 {
		return all[0]
	}
	w, err := k.as(k.admin).CreateWebhook(k.Context(), client.NewWebhook{URL: "https://hooks.example.com/in", Description: "Tells the <b>shop</b>", Events: []string{"api_key.leaked"}})
	k.must(err)
	_, err = k.as(k.admin).TestWebhook(k.Context(), w.ID)
	k.must(err)
	return w.Webhook
}

func hookPage(id string, below ...string) string {
	return strings.Join(append([]string{"/console/webhooks", id}, below...), "/")
}

func (k *kit) hookNow(id string) client.Webhook {
	k.Helper()
	w, err := k.as(k.admin).Webhook(k.Context(), id)
	k.must(err)
	return w
}

// aHookSecret matches secrets of webhooks, as HTML.
var aHookSecret = regexp.MustCompile(`whsec_[0-9A-Za-z+/=&#;]+`)

func TestCreateWebhook(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.adminVisitor()
	v.get("/console/webhooks").want(http.StatusOK, "Create the first one", `aria-current="page">Webhooks`)
	v.post("/console/webhooks/new", url.Values{"url": {"ftp://x"}, "description": {"kept"}, "event": {"api_key.leaked"}}).
		want(http.StatusBadRequest, `id="url-fault"`, `value="kept"`, `value="api_key.leaked" checked`)
	v.post("/console/webhooks/new", url.Values{"url": {"https://hooks.example.com/"}, "event": {"nothing"}}).want(http.StatusBadRequest, `id="events-fault"`)
	form := url.Values{"url": {" https://hooks.example.com/in?a=1&b=2 "}, "description": {"<b>"}, "owner": {"acme"}, "event": {"api_key.leaked", "api_key.revoked"}}
	page := v.reveal("/console/webhooks/new", form).want(http.StatusOK, "The webhook was created", "is shown once")
	secrets := slices.Compact(aHookSecret.FindAllString(page.body, -1))
	all, err := k.as(k.admin).Webhooks(t.Context())
	k.must(err)
	if len(secrets) != 1 || len(all) != 1 {
		t.Fatalf("there are %d webhooks, and the page shows %q", len(all), secrets)
	}
	w := all[0]
	if w.URL != "https://hooks.example.com/in?a=1&b=2" || w.Owner != "acme" || w.Description != "<b>" || !slices.Equal(w.Events, []string{"api_key.leaked", "api_key.revoked"}) {
		t.Errorf("the webhook is %+v", w)
	}
	v.get(page.address()).goes(hookPage(w.ID)) // not a second time
	for _, path := range []string{hookPage(w.ID), "/console/webhooks"} {
		v.get(path).want(http.StatusOK, "https://hooks.example.com/in?a=1&amp;b=2").lacks("<b></b>")
	}
	if found := k.sent.with(secrets[0]); len(found) != 1 {
		t.Errorf("the secret is in %q, want one answer", found)
	}
	if strings.Contains(k.Log.String(), html.UnescapeString(secrets[0])) {
		t.Error("the secret is in the log")
	}
}

func TestWebhookLife(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.adminVisitor()
	w := k.hook()
	v.get(hookPage(w.ID)).want(http.StatusOK, "webhook.test", "waiting", "Tells the &lt;b&gt;shop", "Try again", "every 3s")

	was := url.Values{"url": {w.URL}, "description": {w.Description}, "event": w.Events}.Encode()
	v.post(hookPage(w.ID, "edit"), url.Values{"was": {was}, "url": {w.URL}, "description": {w.Description}, "event": w.Events}).goes(hookPage(w.ID))
	v.get(hookPage(w.ID)).want(http.StatusOK, "The webhook is unchanged.")
	v.post(hookPage(w.ID, "edit"), url.Values{"was": {was}, "url": {"https://other.example.com/"}}).goes(hookPage(w.ID))
	if now := k.hookNow(w.ID); now.URL != "https://other.example.com/" || now.Description != "" || len(now.Events) != 0 {
		t.Errorf("edited, it is %+v", now)
	}
	v.post(hookPage(w.ID, "edit"), url.Values{"was": {was}, "url": {"no url"}}).want(http.StatusBadRequest, `id="url-fault"`)

	v.post(hookPage(w.ID, "disable"), nil).goes(hookPage(w.ID))
	v.get(hookPage(w.ID)).want(http.StatusOK, "nothing is delivered", ">Enable<").lacks("Try again")
	v.post(hookPage(w.ID, "test"), nil).want(http.StatusConflict, "Nothing was sent.")
	v.post(hookPage(w.ID, "enable"), nil).goes(hookPage(w.ID))
	if !k.hookNow(w.ID).Enabled {
		t.Error("it is not enabled")
	}
	v.post(hookPage(w.ID, "test"), nil).goes(hookPage(w.ID))

	v.post(hookPage(w.ID, "rotate"), url.Values{"grace": {"9"}}).want(http.StatusBadRequest, "Nothing was rotated")
	page := v.reveal(hookPage(w.ID, "rotate"), url.Values{"grace": {"3600"}}).want(http.StatusOK, "The webhook was rotated", "signed with the old one too")
	if !aHookSecret.MatchString(page.body) || time.Until(k.hookNow(w.ID).OldSecretUntil) > time.Hour {
		t.Errorf("the page of the new secret is\n%s", page.body)
	}
	v.get(hookPage(w.ID)).want(http.StatusOK, "with the old secret too until")

	v.get(hookPage(w.ID, "delete")).want(http.StatusOK, "Deliveries end for good")
	v.post(hookPage(w.ID, "delete"), nil).goes("/console/webhooks")
	v.get("/console/webhooks").want(http.StatusOK, "was deleted", "Create the first one")
	v.get(hookPage(w.ID)).want(http.StatusNotFound, "There is no such webhook")
}

// Deliveries are paged and filtered, say what became of them, and can be tried again.
func TestDeliveries(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.adminVisitor()
	w := k.hook()
	id, err := apikey.ParseID(w.ID)
	k.must(err)
	var failed client.Delivery
	for range 30 {
		failed, err = k.as(k.admin).TestWebhook(t.Context(), w.ID)
		k.must(err)
	}
	event, err := apikey.ParseID(failed.EventID)
	k.must(err)
	k.must(k.DB.RecordAttempts(t.Context(), id, []store.Attempt{{Event: event, Status: 503, Error: "status 503", Next: time.Now().Add(time.Hour)}}))
	first := v.get(hookPage(w.ID)).want(http.StatusOK, "status 503", "Older")
	if n := strings.Count(first.body, `id="retry-`); n != 25 {
		t.Errorf("the first page has %d deliveries", n)
	}
	_, older, _ := strings.Cut(first.body, `rel="next" href="`)
	older, _, _ = strings.Cut(older, `"`)
	second := v.get(html.UnescapeString(older)).want(http.StatusOK, "Newest")
	if n := strings.Count(second.body, `id="retry-`); n != 6 || strings.Contains(second.body, "Older") {
		t.Errorf("the second page has %d deliveries", n)
	}
	v.get(hookPage(w.ID)+"?state=delivered").want(http.StatusOK, "There are no delivered deliveries")
	v.get(hookPage(w.ID) + "?state=nonsense").want(http.StatusBadRequest)

	v.post(hookPage(w.ID, "retry"), url.Values{"event": {failed.EventID}}).goes(hookPage(w.ID))
	v.get(hookPage(w.ID)).want(http.StatusOK, "The event is delivered again")
	for d, err := range k.as(k.admin).Deliveries(t.Context(), w.ID, client.DeliveryOptions{}) {
		k.must(err)
		if d.EventID == failed.EventID && d.NextAt.After(time.Now()) {
			t.Errorf("the delivery is due only at %s", d.NextAt)
		}
		break
	}
	v.post(hookPage(w.ID, "retry"), url.Values{"event": {"00000000-0000-7000-8000-000000000000"}}).want(http.StatusNotFound, "There is no such delivery")
	k.must(k.DB.RecordAttempts(t.Context(), id, []store.Attempt{{Event: event, Status: 410, Error: "status 410", Disable: store.DisabledGone}}))
	v.get(hookPage(w.ID)).want(http.StatusOK, "answered 410 Gone")
}

// The form offers all types of events that the contract has, but the one that is for tests.
func TestWebhookEventTypes(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	offered := regexp.MustCompile(`name="event" value="([^"]+)"`).FindAllStringSubmatch(k.adminVisitor().get("/console/webhooks/new").body, -1)
	got := []string{string(gen.WebhookEventTypeWebhookTest)}
	for _, one := range offered {
		got = append(got, one[1])
	}
	spec := regexp.MustCompile(`(?s)    WebhookEventType:.*?enum:(.*?)\n    \w`).FindStringSubmatch(string(gen.Contract))
	if spec == nil {
		t.Fatal("the contract has no types")
	}
	want := regexp.MustCompile(`[a-z_]+\.[a-z_]+`).FindAllString(spec[1], -1)
	slices.Sort(got)
	slices.Sort(want)
	if fmt.Sprint(got) != fmt.Sprint(slices.Compact(want)) {
		t.Errorf("the form offers %q, want %q", got, want)
	}
}

// Without keys:admin, no page and no form of webhooks does anything.
func TestWebhooksNeedAdmin(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	w := k.hook()
	v := k.visitor()
	v.signIn(k.owner)
	v.get("/console").lacks("/console/webhooks")
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for _, path := range k.addresses(method) {
			if !strings.HasPrefix(path, "/console/webhooks") || strings.HasSuffix(path, ".css") {
				continue
			}
			path = strings.ReplaceAll(path, k.owner.ID.String(), w.ID)
			a := v.get
			if method == http.MethodPost {
				a = func(path string) reply {
					return v.post(path, url.Values{"url": {"https://x.example/"}, "grace": {"0"}})
				}
			}
			a(path).want(http.StatusForbidden, "Your key may not manage them")
		}
	}
	if now := k.hookNow(w.ID); !now.Enabled || now.URL != w.URL || !now.OldSecretUntil.IsZero() {
		t.Errorf("somebody without keys:admin made it %+v", now)
	}
}
