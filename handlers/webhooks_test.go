package handlers_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/handlers"
	"apikeyd/internal/webhook"
	"apikeyd/store"
)

const hooksPath = "/v1/webhooks"

func hookPath(id string) string { return hooksPath + "/" + id }

func (k *kit) post(by key, path string, f fields) response {
	k.Helper()
	r := request{method: "POST", path: path, key: by.Secret}
	if f != nil {
		r.body = f.json()
	}
	return k.do(r)
}

// hook is what a test reads of a webhook.
type hook struct {
	ID             string    `json:"id"`
	URL            string    `json:"url"`
	Events         []string  `json:"events"`
	Owner          string    `json:"owner"`
	Enabled        bool      `json:"enabled"`
	Secret         string    `json:"secret"`
	DisabledReason string    `json:"disabled_reason"`
	OldSecretUntil time.Time `json:"old_secret_until"`
}

type delivery struct {
	EventID  string `json:"event_id"`
	Type     string `json:"type"`
	State    string `json:"state"`
	Attempts int    `json:"attempts"`
	Status   int    `json:"status"`
	Error    string `json:"error"`
}

// createHook requests a webhook, by default for a public address.
func (k *kit) createHook(f fields) response {
	k.Helper()
	body := fields{"url": "https://hooks.example.com/in"}
	for name, value := range f {
		body[name] = value
	}
	return k.post(k.admin, hooksPath, body)
}

func (k *kit) mustHook(f fields) hook {
	k.Helper()
	w := decode[hook](k.createHook(f).want(201))
	return w
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	created := k.createHook(fields{"events": []string{"api_key.leaked"}, "owner": "acme", "description": "d"}).want(201)
	w := decode[hook](created)
	if created.header.Get("Location") != hookPath(w.ID) || !w.Enabled || w.Owner != "acme" || len(w.Events) != 1 {
		t.Errorf("created is %+v at %s", w, created.header.Get("Location"))
	}
	for name, answer := range map[string]response{
		"get": k.get(k.admin, hookPath(w.ID)), "list": k.get(k.admin, hooksPath), "update": k.patch(k.admin, hookPath(w.ID), fields{}),
	} {
		if strings.Contains(string(answer.want(200).raw), "whsec_") || !strings.Contains(string(answer.raw), w.ID) {
			t.Errorf("%s answers %s", name, answer.raw)
		}
	}
	rotated := decode[hook](k.post(k.admin, hookPath(w.ID)+"/rotate-secret", fields{"grace_seconds": 60}).want(200))
	if rotated.Secret == w.Secret || !rotated.OldSecretUntil.Equal(k.clock.Now().Add(time.Minute)) {
		t.Errorf("rotated is %+v", rotated)
	}
	k.clock.Advance(time.Minute)
	if now := decode[hook](k.get(k.admin, hookPath(w.ID))); !now.OldSecretUntil.IsZero() {
		t.Errorf("after the grace it is %+v", now)
	}
	test := decode[delivery](k.post(k.admin, hookPath(w.ID)+"/test", nil).want(202))
	if test.Type != "webhook.test" || test.State != "waiting" {
		t.Errorf("the test is %+v", test)
	}
	event, err := apikey.ParseID(test.EventID)
	k.must(err)
	id, err := apikey.ParseID(w.ID)
	k.must(err)
	k.must(k.db.RecordAttempts(t.Context(), id, []store.Attempt{{Event: event, Status: 503, Error: "status 503", Next: k.clock.Now().Add(time.Hour)}}))
	list := func() (all []delivery) {
		return decode[struct{ Data []delivery }](k.get(k.admin, hookPath(w.ID)+"/deliveries").want(200)).Data
	}
	if got := list(); len(got) != 1 || got[0].Status != 503 || got[0].Attempts != 1 || got[0].Error != "status 503" {
		t.Errorf("the deliveries are %+v", got)
	}
	retry := hookPath(w.ID) + "/deliveries/" + test.EventID + "/retry"
	k.post(k.admin, retry, nil).want(202)
	k.patch(k.admin, hookPath(w.ID), fields{"enabled": false}).want(200)
	k.post(k.admin, retry, nil).refused(409, "WEBHOOK_DISABLED")
	k.post(k.admin, hookPath(w.ID)+"/test", nil).refused(409, "WEBHOOK_DISABLED")
	k.do(request{method: "DELETE", path: hookPath(w.ID), key: k.admin.Secret}).want(200)
	k.get(k.admin, hookPath(w.ID)).refused(404, "WEBHOOK_NOT_FOUND")
}

func TestWebhookRefusals(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	w := k.mustHook(nil)
	secret := k.mustCreate(k.admin, nil).Secret
	for name, tt := range map[string]struct {
		f     fields
		field string
	}{
		"no https":             {fields{"url": "http://hooks.example.com"}, "url"},
		"an address inside":    {fields{"url": "https://169.254.169.254/latest"}, "url"},
		"a password":           {fields{"url": "https://a:b@hooks.example.com"}, "url"},
		"no URL":               {fields{"url": "hooks"}, "url"},
		"a null URL":           {fields{"url": nil}, "url"},
		"a long URL":           {fields{"url": "https://hooks.example.com/" + strings.Repeat("a", 2048)}, "url"},
		"a key in the URL":     {fields{"url": "https://hooks.example.com/" + secret}, "url"},
		"an unknown event":     {fields{"events": []string{"api_key.gone"}}, "events.0"},
		"an event twice":       {fields{"events": []string{"webhook.test", "webhook.test"}}, "events"},
		"a long description":   {fields{"description": strings.Repeat("a", 256)}, "description"},
		"a line break":         {fields{"description": "a\nb"}, "description"},
		"a key as description": {fields{"description": secret}, "description"},
		"an unknown property":  {fields{"secret": "whsec_AAAA"}, "secret"},
	} {
		k.createHook(tt.f).invalid(tt.field)
		if name != "a null URL" {
			k.patch(k.admin, hookPath(w.ID), tt.f).invalid(tt.field)
		}
	}
	k.createHook(fields{"owner": " "}).invalid("owner")
	k.patch(k.admin, hookPath(w.ID), fields{"owner": "acme"}).invalid("owner")
	for _, grace := range []any{-1, 604801, nil, "1"} {
		k.post(k.admin, hookPath(w.ID)+"/rotate-secret", fields{"grace_seconds": grace}).invalid("grace_seconds")
	}
	for _, query := range []string{"state=lost", "before=1", "items_per_page=0", "items_per_page=101", "verbose=1"} {
		k.get(k.admin, hookPath(w.ID)+"/deliveries?"+query).want(400)
	}
	if answer := k.get(k.admin, hookPath(w.ID)+"/deliveries?before=00000000-0000-0000-0000-000000000000").want(200); !strings.Contains(string(answer.raw), `"data":[]`) {
		t.Errorf("before all there is %s", answer.raw)
	}
	none, nobody := k.add("acme", "none", apikey.ScopeRead, apikey.ScopeWrite, apikey.ScopeVerify), "/"+apikey.NewID().String()
	for _, call := range []request{
		{method: "GET", path: ""}, {method: "POST", path: "", body: `{"url":"https://hooks.example.com"}`}, {method: "GET", path: nobody},
		{method: "PATCH", path: nobody, body: `{}`}, {method: "DELETE", path: nobody}, {method: "POST", path: nobody + "/test"},
		{method: "POST", path: nobody + "/rotate-secret", body: `{"grace_seconds":0}`}, {method: "GET", path: nobody + "/deliveries"},
		{method: "POST", path: nobody + "/deliveries" + nobody + "/retry"},
	} {
		path := call.path
		call.path, call.key = hooksPath+path, none.Secret
		k.do(call).refused(403, "INSUFFICIENT_SCOPE")
		if path == "" {
			continue
		}
		call.key = k.admin.Secret
		k.do(call).refused(404, "WEBHOOK_NOT_FOUND")
		call.path = hooksPath + strings.Replace(path, nobody, "/nobody", 1)
		k.do(call).refused(404, "WEBHOOK_NOT_FOUND")
	}
	for _, event := range []string{nobody, "/nobody"} {
		k.post(k.admin, hookPath(w.ID)+"/deliveries"+event+"/retry", nil).refused(404, "DELIVERY_NOT_FOUND")
	}
}

// What the operator allows may be a webhook.
func TestAllowedWebhooks(t *testing.T) {
	t.Parallel()
	guard := &webhook.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	k := newKit(t, func(c *handlers.Config) { c.CheckWebhookURL = guard.CheckURL })
	k.mustHook(fields{"url": "http://10.1.2.3:8080/in"})
	k.createHook(fields{"url": "http://192.168.1.1"}).invalid("url")
}

// withWebhookProofs adds the proofs of webhooks to others.
func withWebhookProofs(all map[string]proof) map[string]proof {
	creating := func(f fields) proof {
		return func(k *kit) (without, with response) {
			return k.hookOnce(nil), k.hookOnce(f)
		}
	}
	changing := func(f fields) proof {
		return func(k *kit) (without, with response) {
			path := hookPath(k.mustHook(nil).ID)
			without, with = k.patch(k.admin, path, fields{}).want(200), k.patch(k.admin, path, f).want(200)
			k.revoke(k.admin, path).want(200)
			return without, with
		}
	}
	for part, f := range map[string]fields{
		"url": {"url": "https://hooks.example.com/other"}, "description": {"description": "other"}, "events": {"events": []string{"webhook.test"}},
	} {
		all["createWebhook ."+part], all["updateWebhook ."+part] = creating(f), changing(f)
	}
	all["createWebhook .owner"], all["updateWebhook .enabled"] = creating(fields{"owner": "team"}), changing(fields{"enabled": false})
	for _, kind := range store.EventTypes() {
		f := fields{"events": []string{kind}}
		all["createWebhook .events="+kind], all["updateWebhook .events="+kind] = creating(f), changing(f)
	}
	all["rotateWebhookSecret .grace_seconds"] = func(k *kit) (without, with response) {
		path := hookPath(k.mustHook(nil).ID)
		without = k.post(k.admin, path+"/rotate-secret", fields{"grace_seconds": 0}).want(200)
		with = k.post(k.admin, path+"/rotate-secret", fields{"grace_seconds": 60}).want(200)
		k.revoke(k.admin, path).want(200)
		return without, with
	}
	for part, queries := range map[string][2]string{
		"state": {"", "state=waiting"}, "state=waiting": {"state=failed", "state=waiting"}, "state=delivered": {"state=waiting", "state=delivered"},
		"state=failed": {"state=delivered", "state=failed"}, "items_per_page": {"", "items_per_page=1"},
		"before": {"", "before=00000000-0000-7000-8000-000000000000"},
	} {
		all["listWebhookDeliveries ?"+part] = func(k *kit) (without, with response) {
			path := hookPath(decode[struct{ Data []hook }](k.get(k.admin, hooksPath).want(200)).Data[0].ID) + "/deliveries?"
			return k.get(k.admin, path+queries[0]).want(200), k.get(k.admin, path+queries[1]).want(200)
		}
	}
	for _, action := range []string{"create_webhook", "update_webhook", "rotate_webhook", "delete_webhook", "test_webhook"} {
		all["listAuditEvents ?action="+action] = asking(auditPath, "action=create", "action="+action)
	}
	return all
}

// hookOnce creates a webhook and deletes it.
func (k *kit) hookOnce(f fields) response {
	k.Helper()
	answer := k.createHook(f).want(201)
	k.revoke(k.admin, hookPath(decode[hook](answer).ID)).want(200)
	return answer
}

// prepareWebhooks leaves one webhook, with a delivery in each state.
func prepareWebhooks(k *kit) {
	w := k.mustHook(fields{"events": store.EventTypes()})
	id, err := apikey.ParseID(w.ID)
	k.must(err)
	for _, attempt := range []store.Attempt{{OK: true, Status: 200}, {Status: 503, Error: "e", Next: k.clock.Now()}, {Error: "gone"}} {
		test := decode[delivery](k.post(k.admin, hookPath(w.ID)+"/test", nil).want(202))
		attempt.Event, err = apikey.ParseID(test.EventID)
		k.must(err)
		k.must(k.db.RecordAttempts(k.Context(), id, []store.Attempt{attempt}))
	}
	k.post(k.admin, hookPath(w.ID)+"/rotate-secret", fields{"grace_seconds": 0}).want(200)
	k.patch(k.admin, hookPath(w.ID), fields{"enabled": false}).want(200)
	k.revoke(k.admin, hookPath(k.mustHook(nil).ID)).want(200)
}

// concludeWebhooks asks for what else answers can have.
func concludeWebhooks(k *kit) {
	var w hook
	for _, reason := range []string{store.DisabledGone, store.DisabledFailing} {
		w = k.mustHook(nil)
		id, err := apikey.ParseID(w.ID)
		k.must(err)
		test := decode[delivery](k.post(k.admin, hookPath(w.ID)+"/test", nil).want(202))
		event, err := apikey.ParseID(test.EventID)
		k.must(err)
		retry := hookPath(w.ID) + "/deliveries/" + test.EventID + "/retry"
		k.post(k.admin, retry, nil).want(202)
		k.must(k.db.RecordAttempts(k.Context(), id, []store.Attempt{{Event: event, Status: 410, Next: k.clock.Now(), Disable: reason}}))
		k.get(k.admin, hookPath(w.ID)).want(200)
		k.post(k.admin, retry, nil).want(409)
		k.post(k.admin, hookPath(w.ID)+"/test", nil).want(409)
		k.post(k.admin, hookPath(w.ID)+"/rotate-secret", fields{"grace_seconds": -1}).want(400)
	}
	enabled := k.mustHook(nil)
	k.post(k.admin, hookPath(enabled.ID)+"/deliveries/nobody/retry", nil).want(404)
	for answer := k.createHook(nil); answer.status != 409; answer = k.createHook(nil) {
	}
	for _, one := range decode[struct{ Data []hook }](k.get(k.admin, hooksPath).want(200)).Data {
		k.revoke(k.admin, hookPath(one.ID)).want(200) // retention would leave what they have not heard
	}
	k.get(k.admin, hookPath(w.ID)).want(404)
	k.get(k.admin, hooksPath+"?verbose=1").want(400)
	k.get(k.add("team", "no admin", apikey.ScopeRead), hooksPath).want(403)
}
