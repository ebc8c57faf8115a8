//go:build full

package console_test

import (
	"flag"
	"net/url"
	"os"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// go test ./console -run TestScreens -args -screens FOLDER writes pictures of all screens.
var screens = flag.String("screens", "", "write a picture of every screen into this folder")

// screen is a page to take a picture of.
type screen struct{ name, path string }

// TestScreens opens every screen in every look.
func TestScreens(t *testing.T) {
	t.Parallel()
	folder := *screens
	if folder != "" {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	k := newKit(t, options{})
	k.add("acme", "ci-pipeline", "datasets:read", "datasets:write")
	k.add("customer-42", "production", "datasets:read")
	k.add("customer-42", "a key with quite a long name, as people give them", apikey.ScopeRead, apikey.ScopeWrite)
	b := k.browse()
	shoot := func(name string) {
		t.Helper()
		for _, l := range looks() {
			b.see(l)
			b.shoot(folder, name+"-"+l.String())
		}
	}
	b.open("/console/sign-in")
	shoot("sign-in")
	b.signIn(k.admin)
	for range 40 {
		_, err := k.as(k.admin).Verify(t.Context(), k.owner.Secret)
		k.must(err)
	}
	pages := append([]screen{
		{"keys", "/console/keys"}, {"overview", "/console"}, {"audit", "/console/audit"}, {"import", "/console/import"}, {"server", "/console/server"},
		{"owners", "/console/owners"}, {"owner", "/console/owners/owner?owner=acme"}, {"owner-edit", "/console/owners/edit?owner=acme"},
		{"webhooks", "/console/webhooks"}, {"webhook-new", "/console/webhooks/new"},
	}, k.keyScreens()...)
	for _, page := range pages {
		b.open(page.path)
		shoot(page.name)
	}
	b.open("/console/keys?owner=acme&scope=invoices%3Aread&metadata=team%3Dbilling&status=active")
	shoot("keys-filtered")
	b.click(".more summary")
	shoot("keys-filters")
	b.try(k.owner.Secret, "datasets:read")
	shoot("try-valid")
	b.try(k.owner.Secret, "datasets:delete")
	shoot("try-refused")
	b.shootForms(shoot)
	b.signIn(k.add("globex", "first", apikey.ScopeRead, apikey.ScopeWrite))
	shoot("overview-empty")
}

// keyScreens returns the pages of keys in all conditions, and the pages that change them.
func (k *kit) keyScreens() []screen {
	k.Helper()
	admin := k.as(k.admin)
	plain := k.add("acme", "billing-service", "invoices:read", "invoices:write", apikey.ScopeRead)
	_, err := admin.Update(k.Context(), plain.ID.String(), client.Change{
		Metadata:  &map[string]string{"team": "billing", "ticket": "OPS-1234"},
		RateLimit: &client.RateLimit{Limit: 600, Window: time.Minute},
		Quota:     &client.Quota{Limit: 100_000, Period: client.Month, StartsOn: 15},
		Scopes:    &[]string{"invoices:read", "invoices:send", apikey.ScopeRead},
	})
	k.must(err)
	for range 9 {
		k.use(plain)
	}
	_, err = admin.Verify(k.Context(), plain.Secret, "nothing:has-it")
	k.must(err)
	rotated := k.add("acme", "mobile app", "datasets:read")
	_, err = admin.Rotate(k.Context(), rotated.ID.String(), 24*time.Hour)
	k.must(err)
	gone := k.add("acme", "old laptop", "datasets:read")
	_, err = admin.Revoke(k.Context(), gone.ID.String())
	k.must(err)
	many := url.Values{"id": {plain.ID.String(), rotated.ID.String(), gone.ID.String(), k.admin.ID.String()}}
	return []screen{
		{"key-active", pathOf(plain.ID)},
		{"key-rotating", pathOf(rotated.ID)},
		{"key-revoked", pathOf(gone.ID)},
		{"then", pathOf(rotated.ID, "then")},
		{"then-shown", pathOf(rotated.ID, "then") + "?at=" + time.Now().UTC().Format("2006-01-02T15:04:05.000")},
		{"rotate", pathOf(rotated.ID, "rotate")},
		{"revoke", pathOf(plain.ID, "revoke")},
		{"revoke-several", "/console/keys/revoke?" + many.Encode()},
		{"no-keys", "/console/keys?owner=nobody%27s"},
		{"keys-chosen", "/console/keys?status=active"},
	}
}

// shootForms takes pictures of the forms of keys and of the page of a secret.
func (b *browser) shootForms(shoot func(name string)) {
	b.Helper()
	b.open("/console/keys/new")
	shoot("new")
	b.seen.Expect("status of 400")
	b.fill("#name", "..")
	b.click("[name=expires][value=custom]")
	b.click(".access summary")
	b.click("[name=scope][value='keys:read']")
	b.fill("#api-scopes", `datasets:read "datasets:write"`)
	b.write("[name=metadata-text]", "pro")
	b.fill("#limit", "many")
	b.click("form.key-form [type=submit]")
	b.wait("#problem")
	shoot("new-faults")
	b.open("/console/keys/new")
	b.fill("#name", "nightly import")
	b.click(".access summary")
	b.click("[name=scope][value='keys:read']")
	b.fill("#api-scopes", "datasets:read")
	b.click("form.key-form [type=submit]")
	b.wait("#stored")
	shoot("secret")
	b.click("#stored [type=checkbox]")
	b.click("#stored [type=submit]")
	b.until("!document.querySelector('#stored')")
	b.open(b.path()[:len("/console/keys/")+36] + "/edit")
	shoot("edit")
}

// try submits the form of Try it.
func (b *browser) try(secret, scopes string) {
	b.Helper()
	b.open("/console/try")
	b.fill("#scopes", scopes)
	b.fill("#secret", secret)
	b.click("main button[type=submit]")
	b.wait("#result .verdict")
}
