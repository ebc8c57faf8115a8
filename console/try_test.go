//go:build full

package console_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"apikeyd/client"
	"apikeyd/console"
)

func TestTryIt(t *testing.T) {
	t.Parallel()
	var failing atomic.Bool
	k := newKit(t, options{console: func(c *console.Config) {
		api := c.API
		c.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if failing.Load() && r.URL.Path == "/v1/verify" {
				http.Error(w, "", http.StatusServiceUnavailable)
				return
			}
			api.ServeHTTP(w, r)
		})
	}})
	theirs := k.add("o'brien", "ci", "datasets:read", "it's:$HOME`id`")
	gone := k.add("acme", "gone")
	_, err := k.as(k.admin).ForOwner("acme").Revoke(t.Context(), gone.ID.String())
	k.must(err)
	b := k.browse()
	b.signIn(k.admin)
	b.open("/console")
	b.click(".parts a[href='/console/try']")

	verify := func(secret, scopes string) {
		t.Helper()
		b.fill("#secret", secret)
		b.fill("#scopes", scopes)
		_ = evaluate[string](b, "document.getElementById('result').textContent = ''")
		b.click("main button[type=submit]")
		b.until("document.querySelector('#result .verdict, #result .problem')")
	}
	for _, tt := range []struct {
		secret, scopes, code string
		texts                []string
	}{
		{theirs.Secret, "datasets:read  it's:$HOME`id` ", "VALID", []string{"counted as a use", "Key: ci of o'brien"}},
		{theirs.Secret, "", "VALID", nil},
		{theirs.Secret, "datasets:write", "INSUFFICIENT_SCOPE", []string{"lacks one of the scopes", "Key: ci of o'brien"}},
		{gone.Secret, "", "REVOKED", []string{"The key was revoked"}},
		{"it's \"no\" secret", "", "NOT_FOUND", []string{"This is no apikeyd key"}},
	} {
		verify(tt.secret, tt.scopes)
		b.want(".verdict", append(tt.texts, tt.code)...)
		b.until("document.getElementById('announcer').textContent.includes('" + tt.code + "')")
		if kept := evaluate[string](b, "document.getElementById('scopes').value"); kept != tt.scopes {
			t.Errorf("the scopes %q became %q", tt.scopes, kept)
		}
		// The command says the same.
		command := b.text("#result pre")
		answer := k.run(command, "APIKEYD_KEY="+k.admin.Secret, "KEY="+strings.ReplaceAll(tt.secret, `"`, ""))
		if !strings.Contains(answer, `"code":"`+tt.code+`"`) {
			t.Errorf("%s: %s\nprints %s", tt.code, command, answer)
		}
		if strings.Contains(command, tt.secret) || strings.Contains(command, "ak_") {
			t.Errorf("a secret is in %s", command)
		}
	}
	b.seen.Expect("status of 400")
	// A fault is shown next to its field, which gets the focus, and everything else stays.
	for scopes, why := range map[string]string{`a"b`: "Each scope must be printable ASCII", theirs.Secret: "not for a key"} {
		b.fill("#secret", theirs.Secret)
		b.fill("#scopes", scopes)
		b.click("main button[type=submit]")
		b.until("document.getElementById('scopes-fault').innerText.includes('" + why + "')")
		b.until("document.activeElement.id === 'scopes' && document.activeElement.ariaInvalid === 'true'")
		b.until("document.getElementById('announcer').textContent.includes('" + why + "')")
		b.until("!document.getElementById('result').innerText && document.getElementById('secret').value")
	}
	verify(theirs.Secret, "datasets:read")
	b.until("!document.querySelector('form.ask [aria-invalid]') && !document.getElementById('scopes-fault').innerText")
	b.open("/console")
	b.want(".chart", "5 verified and 6 refused", "most in one minute")
	for _, secret := range []string{theirs.Secret, gone.Secret} {
		if found := k.sent.with(secret); len(found) != 0 {
			t.Errorf("a secret was sent back by %q", found)
		}
	}

	// A failing server is reported in the same place.
	failing.Store(true)
	b.open("/console/try")
	b.seen.Expect("status of 503")
	verify(theirs.Secret, "")
	b.want("#result", "The server cannot do this now")
	failing.Store(false)

	// Without a script.
	b.scripts(false)
	b.open("/console/try")
	b.fill("#scopes", "datasets:read")
	b.fill("#secret", theirs.Secret)
	b.click("main button[type=submit]")
	b.wait(".verdict")
	b.want(".verdict", "VALID")
	b.fill("#scopes", `a"b`)
	b.fill("#secret", theirs.Secret)
	b.click("main button[type=submit]")
	b.wait("#scopes-fault")
	b.want("#scopes-fault", "Each scope must be printable ASCII")
	b.until("document.activeElement.id === 'scopes'")
}

func TestTryItAsVerifier(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	verifier := k.add("gateway", "verifier", "keys:read", "keys:verify")
	limited, err := k.as(k.admin).ForOwner("acme").Create(t.Context(), client.NewKey{
		Name: "limited", ExpiresAt: time.Now().Add(time.Hour), Scopes: &[]string{},
		RateLimit: &client.RateLimit{Limit: 1, Window: time.Hour},
	})
	k.must(err)
	b := k.browse()
	b.signIn(verifier)
	if text := b.text(".parts"); text != "Overview\nKeys\nTry it\nAPI docs" {
		t.Errorf("the parts are %q", text)
	}
	b.open("/console/try")
	b.fill("#secret", limited.Secret.Reveal())
	b.click("main button[type=submit]")
	b.wait(".verdict")
	b.want(".verdict", "VALID", "Key: limited of acme")
	if b.text(".verdict a") != "" {
		t.Error("another owner's key is linked, which the reader may not see")
	}
	b.fill("#secret", limited.Secret.Reveal())
	b.click("main button[type=submit]")
	b.until("document.querySelector('.verdict h2').innerText.includes('RATE_LIMITED')")
	b.want(".verdict", "used too often", "the next call passes in 3")

	// A session that ends in the meantime loses the pasted key and nothing else.
	b.fill("#scopes", "a:b")
	b.fill("#secret", limited.Secret.Reveal())
	_, err = k.as(k.admin).ForOwner("gateway").Revoke(t.Context(), verifier.ID.String())
	k.must(err)
	b.click("main button[type=submit]")
	b.wait("main form[action='/console/sign-in']")
	if found := k.sent.with(limited.Secret.Reveal()); len(found) != 1 { // by the API, to its creator
		t.Errorf("the secret was sent back by %q", found)
	}
}
