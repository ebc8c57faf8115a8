package console_test

import (
	"flag"
	"os"
	"testing"

	"apikeyd/apikey"
)

// go test ./console -run TestScreens -args -screens FOLDER writes pictures of all screens.
var screens = flag.String("screens", "", "write a picture of every screen into this folder")

// TestScreens looks at every screen by day and by night, at a desk and on a phone.
func TestScreens(t *testing.T) {
	t.Parallel()
	folder := *screens
	if folder == "" {
		folder = t.TempDir()
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	k := newKit(t, options{})
	k.add("acme", "ci-pipeline", "datasets:read", "datasets:write")
	k.add("customer-42", "production", "datasets:read")
	k.add("customer-42", "a key with quite a long name, as people give them", apikey.ScopeRead, apikey.ScopeWrite)
	b := k.browse()
	for _, l := range looks() {
		b.see(l)
		b.open("/console/sign-in")
		b.shoot(folder, "sign-in-"+l.String())
	}
	b.signIn(k.admin)
	for range 40 {
		_, err := k.api(k.admin).Verify(t.Context(), k.owner.Secret)
		k.must(err)
	}
	for _, page := range []struct{ name, path string }{
		{"keys", "/console/keys"}, {"overview", "/console"}, {"audit", "/console/audit"},
	} {
		for _, l := range looks() {
			b.see(l)
			b.open(page.path)
			b.shoot(folder, page.name+"-"+l.String())
		}
	}
	for _, l := range looks() {
		b.see(l)
		b.try(k.owner.Secret, "datasets:read")
		b.shoot(folder, "try-valid-"+l.String())
		b.try(k.owner.Secret, "datasets:delete")
		b.shoot(folder, "try-refused-"+l.String())
	}
	b.signIn(k.add("globex", "first", apikey.ScopeRead, apikey.ScopeWrite))
	for _, l := range looks() {
		b.see(l)
		b.open("/console")
		b.shoot(folder, "overview-empty-"+l.String())
	}
}

// try fills in and sends the form of Try it.
func (b *browser) try(secret, scopes string) {
	b.Helper()
	b.open("/console/try")
	b.fill("#scopes", scopes)
	b.fill("#secret", secret)
	b.click("main button[type=submit]")
	b.wait("#result .verdict")
}
