//go:build full

package console_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"apikeyd/apikey"
	"apikeyd/client"
)

func TestFormEditAsAdmin(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	api := k.as(k.admin)
	stored := k.add("customer-7", "production", apikey.ScopeRead, "datasets:read")
	id := stored.ID.String()
	limit := client.RateLimit{Limit: 5, Window: 90 * time.Second}
	_, err := api.Update(t.Context(), id, client.Change{RateLimit: &limit, Metadata: &map[string]string{"a=b": "1\n2", "plan": "pro"},
		Quota: &client.Quota{Limit: 1000, Period: client.Week, StartsOn: 3}})
	k.must(err)
	b := k.browse()
	b.signIn(k.admin)
	edit := "/console/keys/" + id + "/edit"

	b.open(edit)
	b.click(sendForm)
	b.noticed(id, "production is unchanged")

	// Renamed here while somebody else changes everything else.
	b.open(edit)
	for css, want := range map[string]string{"#name": "production", "[name=scope]:checked": "datasets:read", "#api-scopes": "",
		"[name=metadata-text]": "1\n2", "#limit": "5", "#window": "90", "[name=unit]": "1", "[name=expires]:checked": "keep",
		"#quota": "1000", "#period": "week", "#starts": "3"} {
		if got := b.value(css); got != want {
			t.Errorf("%s holds %q instead of %q", css, got, want)
		}
	}
	end := time.Now().Add(48 * time.Hour).Truncate(time.Millisecond)
	others, err := api.Update(t.Context(), id, client.Change{RateLimit: &client.RateLimit{Limit: 7, Window: time.Hour}, ExpiresAt: &end,
		Quota:  &client.Quota{Limit: 7, Period: client.Day},
		Scopes: &[]string{"datasets:write"}, Metadata: &map[string]string{"plan": "free"}})
	k.must(err)
	b.fill("#name", "production 2")
	b.refused(412) // and sending it again changes the name only
	b.click(sendForm)
	b.wait("#confirm")
	b.wantNot(".changes", "scopes", "rate limit", "metadata", "expires")
	b.isClean("edit-confirm")
	b.click("#confirm [value=back]")
	b.wait("form.key-form")
	if name := b.value("#name"); name != "production 2" {
		t.Errorf("going back to the form shows the name %q", name)
	}
	b.click(sendForm)
	b.confirm("name: production", "production 2")
	b.noticed(id, "production 2 was changed.")
	now := k.get("", id)
	if now.Name != "production 2" || !slices.Equal(now.Scopes, others.Scopes) || !maps.Equal(now.Metadata, others.Metadata) ||
		now.RateLimit != others.RateLimit || now.Quota != others.Quota || !now.ExpiresAt.Equal(others.ExpiresAt) {
		t.Errorf("a new name made %+v of %+v", now, others)
	}

	b.open(edit)
	b.click("[name=expires][value='30']")
	if scopes := b.values("[name=scope]:checked"); !slices.Equal(scopes, []string{"datasets:write"}) {
		t.Errorf("the key's scopes are shown as %q", scopes)
	}
	b.click("[value='datasets:write']")
	b.click(".access summary")
	b.click("[value='keys:verify']")
	b.set("[name=metadata-text]", "")
	b.set("[name=metadata-name]", "")
	b.fill("#limit", "")
	b.fill("#quota", "")
	b.click(sendForm)
	b.confirm("scopes added: keys:verify", "scopes removed: datasets:write", "metadata plan: free", "rate limit: 7 calls per hour", "expires:")
	b.noticed(id, "production 2 was changed.")
	now = k.get("", id)
	if !slices.Equal(now.Scopes, []string{"keys:verify"}) || len(now.Metadata) != 0 || now.RateLimit != (client.RateLimit{}) ||
		now.Quota != (client.Quota{}) || time.Until(now.ExpiresAt) < 29*24*time.Hour {
		t.Errorf("the key is %+v", now)
	}

	// What was typed survives the end of the session, and so do the values first shown.
	b.open(edit)
	b.fill("#name", "production 3")
	_, err = chromedp.Call(b.ctx, network.ClearBrowserCookies, cdp.Empty{})
	k.must(err)
	b.click(sendForm)
	b.fill("#secret", k.admin.Secret)
	b.click("main button[type=submit]")
	b.wait("form.key-form")
	if name := b.value("#name"); name != "production 3" || b.value("[name=scope]:checked") != "keys:verify" {
		t.Errorf("after signing in again the name is %q", name)
	}
	_, err = api.Update(t.Context(), id, client.Change{Metadata: &map[string]string{"plan": "enterprise"}})
	k.must(err)
	b.refused(412)
	b.want("main", "Somebody changed this key meanwhile")
	b.click(sendForm)
	b.confirm("name: production 2", "production 3")
	b.noticed(id, "production 3 was changed.")
	if now = k.get("", id); now.Name != "production 3" || now.Metadata["plan"] != "enterprise" {
		t.Errorf("the key is %+v", now)
	}

	_, err = api.Revoke(t.Context(), id)
	k.must(err)
	b.seen.Expect("status of 409")
	b.open(edit)
	b.want("main", "This key was revoked")
	b.want("main", "cannot be changed")
}

func TestFormEditAsOwner(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{longest: 100 * 24 * time.Hour})
	plain := k.add("acme", "plain", "datasets:read")
	_, err := k.as(k.admin).Update(t.Context(), plain.ID.String(), client.Change{RateLimit: &client.RateLimit{Limit: 5, Window: time.Minute}})
	k.must(err)
	stronger := k.add("acme", "stronger", "datasets:write")
	foreign := k.add("customer-7", "foreign")
	b := k.browse()
	b.signIn(k.owner)
	b.seen.Expect("status of 403")
	b.seen.Expect("status of 404")
	b.open("/console/keys/" + stronger.ID.String() + "/edit")
	b.want("main", "scopes that yours lacks")
	b.open("/console/keys/" + foreign.ID.String() + "/edit")
	b.want("main", "There is no such key")
	b.open("/console/keys/" + k.owner.ID.String() + "/edit")
	b.want("main", "You are signed in with this key")

	id := plain.ID.String()
	b.open("/console/keys/" + id + "/edit")
	if all := b.values("[name=expires]"); !slices.Equal(all, []string{"keep", "7", "30", "90", "longest", "custom"}) {
		t.Errorf("the ends offered are %q", all)
	}
	b.fill("#name", "acme's own")
	b.click(sendForm)
	b.seen.Expect("status of 409")
	b.confirm("name: plain", "acme's own")
	b.wait("#problem")
	b.want("#name-fault", "has this name")
	b.fill("#name", "plain 2")
	b.click("[value='datasets:read']")
	b.click(".access summary")
	b.click("[value='keys:read']")
	b.click(sendForm)
	b.confirm("name: plain", "plain 2", "scopes added: keys:read", "scopes removed: datasets:read")
	b.noticed(id, "plain 2 was changed.")
	now := k.get("acme", "plain 2")
	if !slices.Equal(now.Scopes, []string{"keys:read"}) || now.RateLimit.Limit != 5 || !now.ExpiresAt.Equal(k.get("", id).ExpiresAt) {
		t.Errorf("the key is %+v", now)
	}
	if log := k.Log.String(); strings.Contains(log, "the console failed") {
		t.Errorf("the log says:\n%s", log)
	}
}
