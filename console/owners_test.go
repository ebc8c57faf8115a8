package console_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/console"
)

func ownerPage(page, owner string) string {
	return "/console/owners/" + page + "?" + url.Values{"owner": {owner}}.Encode()
}

// admin returns a visitor who is signed in as an administrator.
func (k *kit) adminVisitor() *visitor {
	k.Helper()
	v := k.visitor()
	v.signIn(k.admin)
	return v
}

func (k *kit) ownerNow(name string) client.Owner {
	k.Helper()
	o, err := k.as(k.admin).Owner(k.Context(), name)
	k.must(err)
	return o
}

func (k *kit) changeOwner(name string, change client.OwnerChange) {
	k.Helper()
	_, err := k.as(k.admin).UpdateOwner(k.Context(), name, change)
	k.must(err)
}

func TestOwners(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	const odd = `a/b %41?&"<b> ключ`
	k.add(odd, "ci", "datasets:read")
	k.changeOwner(odd, client.OwnerChange{
		MaxKeys: new(1234567), RateLimit: &client.RateLimit{Limit: 7, Window: time.Minute},
		Quota: &client.Quota{Limit: 7654321, Period: client.Month}, Metadata: &map[string]string{"plan": "pro"},
		AllowedCIDRs: &[]string{"192.0.2.0/24"},
	})
	k.changeOwner("gone", client.OwnerChange{Enabled: new(false)})
	v := k.adminVisitor()
	list := v.get("/console/owners").want(http.StatusOK, "1,234,567", "7,654,321", "7 calls per minute", "acme", "gone", `aria-current="page">Owners`)
	if strings.Contains(list.body, "<b>") {
		t.Error("markup in a name became markup in the page")
	}
	page := ownerPage("owner", odd)
	if !strings.Contains(html.UnescapeString(list.body), page) {
		t.Errorf("the list does not lead to %s", page)
	}
	v.get(page).want(http.StatusOK, "7,654,321 left", "1,234,567", "192.0.2.0/24", "plan", "Suspend", "Revoke all keys")
	for query, want := range map[string][3]bool{ // whether they are shown: acme, gone, the odd one
		"":                    {true, true, true},
		"q=ACM":               {true, false, false},
		"q=КЛЮЧ":              {false, false, true},
		"state=suspended":     {false, true, false},
		"state=enabled":       {true, false, true},
		"state=enabled&q=gon": {false, false, false},
		"after=nonsense":      {false, false, false},
	} {
		body := html.UnescapeString(v.get("/console/owners?" + query).want(http.StatusOK).body)
		for i, name := range []string{"acme", "gone", odd} {
			if shown := strings.Contains(body, ownerPage("owner", name)); shown != want[i] {
				t.Errorf("%q: %q is shown: %t", query, name, shown)
			}
		}
	}
	v.get("/console/owners?q="+k.owner.Secret).want(http.StatusOK, "You pasted a key").lacks(k.owner.Secret)
	v.get(ownerPage("owner", "nobody")).want(http.StatusNotFound, "There is no such owner")
	v.get(ownerPage("owner", "")).want(http.StatusNotFound)

	others := k.visitor()
	others.signIn(k.owner)
	others.get("/console").lacks("/console/owners")
	others.get("/console/owners").want(http.StatusForbidden)
	others.get(ownerPage("owner", odd)).want(http.StatusForbidden)
	others.post("/console/owners/suspend", url.Values{"owner": {odd}}).want(http.StatusForbidden)
	others.post("/console/owners/edit", url.Values{"owner": {"acme"}, "was": {"max_keys=1"}, "max_keys": {"2"}}).want(http.StatusForbidden)
	others.post("/console/owners/revoke", url.Values{"owner": {"acme"}, "count": {"0"}, "suspend": {"1"}}).want(http.StatusBadRequest, "It has no keys to revoke")
	if o := k.ownerNow("acme"); !o.Enabled || o.MaxKeys != 0 {
		t.Errorf("somebody without keys:admin made it %+v", o)
	}
}

// lacks checks that a text is not on the page.
func (a reply) lacks(text string) {
	a.Helper()
	if strings.Contains(a.body, text) {
		a.Errorf("%s: the page says %q", a.request, text)
	}
}

// The pages of owners are cursors': each owner is on one of them.
func TestOwnersPages(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	const owners = 60
	for i := range owners {
		k.changeOwner(fmt.Sprintf("customer %02d", i), client.OwnerChange{MaxKeys: new(i + 1)})
	}
	v := k.adminVisitor()
	seen, pages := map[string]int{}, 0
	for path := "/console/owners?q=customer"; path != ""; pages++ {
		body := v.get(path).want(http.StatusOK).body
		for i := range owners {
			name := fmt.Sprintf("customer %02d", i)
			seen[name] += strings.Count(body, "<bdi>"+name+"</bdi>")
		}
		path = ""
		if _, after, found := strings.Cut(body, `rel="next" href="`); found {
			path, _, _ = strings.Cut(after, `"`)
			path = html.UnescapeString(path)
		}
	}
	if pages != 3 {
		t.Errorf("%d pages", pages)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s is shown %d times", name, n)
		}
	}
}

func TestEditOwner(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.adminVisitor()
	edit := ownerPage("edit", "acme")
	form := func(f url.Values) url.Values {
		all := url.Values{"owner": {"acme"}, "was": {"window=1&unit=60&period=month&starts=1"}, "window": {"1"}, "unit": {"60"}, "period": {"month"}, "starts": {"1"}}
		for name, values := range f {
			all[name] = values
		}
		return all
	}
	const path = "/console/owners/edit"
	v.post(path, form(nil)).goes(ownerPage("owner", "acme"))
	v.get(ownerPage("owner", "acme")).want(http.StatusOK, "is unchanged.")
	v.post(path, form(url.Values{"max_keys": {"20"}, "limit": {"9"}, "quota": {"100"}, "allowed_cidrs": {"192.0.2.0/24, 2001:db8::7"}})).
		goes(ownerPage("owner", "acme"))
	want := client.Owner{
		Name: "acme", Enabled: true, MaxKeys: 20, RateLimit: client.RateLimit{Limit: 9, Window: time.Minute},
		Quota: client.Quota{Limit: 100, Period: client.Month, StartsOn: 1}, Metadata: map[string]string{},
		AllowedCIDRs: []string{"192.0.2.0/24", "2001:db8::7/128"}, Keys: client.OwnerKeys{Active: 1},
	}
	got := k.ownerNow("acme")
	got.Left = client.QuotaState{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the owner differs (-want +got):\n%s", diff)
	}
	shown := v.get(edit).want(http.StatusOK, `value="20"`, `value="9"`, `value="100"`, `value="192.0.2.0/24 2001:db8::7/128"`,
		"all keys of the owner together")
	_, was, _ := strings.Cut(shown.body, `name="was" value="`)
	was, _, _ = strings.Cut(was, `"`)
	// What somebody else changed meanwhile stays.
	k.changeOwner("acme", client.OwnerChange{MaxKeys: new(33)})
	v.post(path, form(url.Values{"was": {html.UnescapeString(was)}, "max_keys": {"20"}, "limit": {""}, "quota": {"100"}})).
		goes(ownerPage("owner", "acme"))
	if o := k.ownerNow("acme"); o.MaxKeys != 33 || o.RateLimit != (client.RateLimit{}) || o.Quota.Limit != 100 || o.AllowedCIDRs != nil {
		t.Errorf("the owner is %+v", o)
	}
	for field, f := range map[string]url.Values{
		"max_keys": {"max_keys": {"many"}}, "limit": {"limit": {"x"}}, "starts": {"quota": {"1"}, "starts": {"99"}}, "quota": {"quota": {"-"}},
		"allowed_cidrs": {"allowed_cidrs": {"localhost"}},
	} {
		v.post(path, form(f)).want(http.StatusBadRequest, `id="`+field+`-fault"`, "Nothing was saved yet")
	}
	v.post(path, form(url.Values{"max_keys": {"0"}})).want(http.StatusBadRequest, "Must be at least 1. Suspend the owner")
	// Nobody bars themselves.
	own := form(url.Values{"owner": {"admin"}, "allowed_cidrs": {"198.51.100.0/24"}})
	v.post(path, own).want(http.StatusForbidden, `id="allowed_cidrs-fault"`, "192.0.2.1", "198.51.100.0/24")
	v.get(ownerPage("owner", "admin")).want(http.StatusOK, "The key that you are signed in with belongs to it").lacks("/owners/suspend")
	v.post("/console/owners/suspend", url.Values{"owner": {"admin"}}).want(http.StatusForbidden)
}

func TestSuspendOwner(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	target := k.add("customer", "ci", "datasets:read")
	v := k.adminVisitor()
	one := url.Values{"owner": {"customer"}}
	v.post("/console/owners/suspend", one).goes(ownerPage("owner", "customer"))
	if k.valid(target.Secret) {
		t.Error("a key of a suspended owner is good")
	}
	v.get(ownerPage("owner", "customer")).want(http.StatusOK, "was suspended: all its keys are refused", "It is suspended", "Resume").lacks("/owners/suspend")
	v.get("/console/keys?owner=customer").want(http.StatusOK, "suspended", "About the owner")
	v.get("/console/owners").want(http.StatusOK, "badge suspended")
	v.get(pathOf(target.ID)).want(http.StatusOK, "Its owner is suspended")
	v.post("/console/owners/resume", one).goes(ownerPage("owner", "customer"))
	v.get(ownerPage("owner", "customer")).want(http.StatusOK, "is no longer suspended")
	if !k.valid(target.Secret) {
		t.Error("a key of an owner that was suspended is not good")
	}
}

// All keys of an owner are revoked if their number is typed, with an account of what happened.
func TestRevokeAllKeys(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	const owner = "customer & co"
	keys := make([]key, 230) // more than two pages
	for i := range keys {
		keys[i] = k.add(owner, fmt.Sprint("key ", i), "datasets:read")
	}
	api := k.as(k.admin)
	_, err := api.Revoke(t.Context(), keys[0].ID.String())
	k.must(err)
	_, err = api.Suspend(t.Context(), keys[1].ID.String())
	k.must(err)
	v := k.adminVisitor()
	v.get(ownerPage("revoke", owner)+"&count=229").want(http.StatusOK, "Type 229 to confirm", "229 keys stop", `name="suspend" value="1" checked`).
		lacks(`value="229"`)
	const path = "/console/owners/revoke"
	sent := func(count string) url.Values {
		return url.Values{"owner": {owner}, "count": {count}, "suspend": {"1"}, "reason": {"owner_left"}}
	}
	for _, wrong := range []string{"", "230", "228", "229 keys"} {
		v.post(path, sent(wrong)).want(http.StatusBadRequest, "Nothing was revoked", "Type 229 to confirm")
	}
	if o := k.ownerNow(owner); !o.Enabled || o.Keys.Active != 228 {
		t.Fatalf("without its number it was %+v", o)
	}
	v.post(path, sent(" 229 ")).goes(ownerPage("owner", owner))
	v.get(ownerPage("owner", owner)).want(http.StatusOK, "229 keys were revoked", "It is suspended")
	o := k.ownerNow(owner)
	if o.Enabled || o.Keys != (client.OwnerKeys{Revoked: 230}) {
		t.Errorf("the owner is %+v", o)
	}
	if got := k.get(owner, keys[5].ID.String()); got.RevocationReason != client.ReasonOwnerLeft || got.RevokedAt.IsZero() {
		t.Errorf("a key is %+v", got)
	}
	v.get(ownerPage("revoke", owner)).want(http.StatusOK, "It has no keys to revoke")
	v.post(path, sent("0")).want(http.StatusBadRequest)

	// The reader's own key is kept, and its owner is not suspended.
	k.add("admin", "second", apikey.ScopeAdmin)
	v.get(ownerPage("revoke", "admin")).want(http.StatusOK, "Type 1 to confirm", "is kept").lacks(`name="suspend"`)
	v.post(path, url.Values{"owner": {"admin"}, "count": {"1"}, "suspend": {"1"}}).goes(ownerPage("owner", "admin"))
	if o := k.ownerNow("admin"); !o.Enabled || o.Keys.Active != 1 {
		t.Errorf("the reader's own owner is %+v", o)
	}
}

// What could not be revoked is named, and what is left is counted.
func TestRevokeAllKeysFails(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	refused := k.add("acme", "stronger", "datasets:delete")
	for i := range 3 {
		k.add("acme", fmt.Sprint("weak ", i), "datasets:read")
	}
	v := k.visitor()
	v.signIn(k.owner) // lacks a scope of one of them
	v.get(ownerPage("owner", "acme")).want(http.StatusOK, "Revoke all keys").lacks("/owners/edit")
	v.get(ownerPage("revoke", "acme")).want(http.StatusOK, "Type 4 to confirm")
	answer := v.post("/console/owners/revoke", url.Values{"owner": {"acme"}, "count": {"4"}}).
		want(http.StatusOK, "3 keys revoked, 1 left", "Not revoked: 1", "stronger", "scopes that yours lacks", "Revoke the rest")
	answer.lacks("not tried")
	if !k.valid(refused.Secret) {
		t.Error("a key that may not be revoked was")
	}
}

// A key that is created meanwhile is counted, and a list that ends early is no success.
func TestRevokeAllKeysIsHonest(t *testing.T) {
	t.Parallel()
	var k *kit
	var deleted, listed atomic.Int32
	k = newKit(t, options{console: func(c *console.Config) {
		api := c.API
		c.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodDelete && deleted.Add(1) == 1:
				k.add("customer", "meanwhile", "datasets:read")
			case r.Method == http.MethodGet && r.URL.Path == "/v1/api-keys" && r.URL.Query().Has("cursor") && listed.Add(1) == 1:
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = io.WriteString(w, `{"status":503,"code":"UNAVAILABLE","message":"the database is busy"}`)
				return
			}
			api.ServeHTTP(w, r)
		})
	}})
	for i := range 150 {
		k.add("customer", fmt.Sprint("key ", i), "datasets:read")
	}
	v := k.adminVisitor()
	const path = "/console/owners/revoke"
	v.post(path, url.Values{"owner": {"customer"}, "count": {"150"}}).
		want(http.StatusOK, "100 keys revoked, 51 left", "51 keys were not tried, or created meanwhile", "Not all keys were tried", "Revoke the rest").
		lacks("Not revoked:")
	v.post(path, url.Values{"owner": {"customer"}, "count": {"50"}}).want(http.StatusBadRequest, "Type 51 to confirm")
	v.post(path, url.Values{"owner": {"customer"}, "count": {"51"}}).goes(ownerPage("owner", "customer"))
	if o := k.ownerNow("customer"); !o.Enabled || o.Keys != (client.OwnerKeys{Revoked: 151}) {
		t.Errorf("the owner is %+v", o)
	}
}
