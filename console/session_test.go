package console_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
	"apikeyd/console"
	"apikeyd/handlers"
	"apikeyd/store/storetest"
)

// signedOut checks for the sign-in page and its reason.
func (a reply) signedOut(reason string) {
	a.Helper()
	if to := a.header.Get("Location"); strings.HasPrefix(to, "/console/sign-in?") {
		a.want(http.StatusSeeOther)
		a = a.get(to)
	}
	a.want(http.StatusOK, "<h1>Sign in</h1>", reason)
}

func TestCookies(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	for name, c := range map[string]struct {
		change func(*visitor)
		cookie string
		secure bool
	}{
		"plain":                    {func(*visitor) {}, "apikeyd", false},
		"TLS":                      {func(v *visitor) { v.tls = true }, "__Host-apikeyd", true},
		"TLS up to a proxy":        {func(v *visitor) { v.header["Origin"] = "https://keys.example.com" }, "__Host-apikeyd", true},
		"on another port":          {func(v *visitor) { v.host = "localhost:8081" }, "apikeyd_8081", false},
		"on no port":               {func(v *visitor) { v.host = "localhost:x;y" }, "apikeyd", false},
		"TLS, as a proxy tells it": {func(v *visitor) { v.header["X-Forwarded-Proto"] = "https" }, "__Host-apikeyd", true},
	} {
		v := k.visitor()
		c.change(v)
		v.header["Sec-Fetch-Site"] = "same-origin"
		got := v.signIn(k.owner).cookies[c.cookie]
		if got == nil {
			t.Errorf("%s: there is no cookie %s", name, c.cookie)
			continue
		}
		if !got.HttpOnly || got.SameSite != http.SameSiteStrictMode || got.Secure != c.secure || got.Path != "/" ||
			got.Domain != "" || got.MaxAge != 0 || !got.Expires.IsZero() {
			t.Errorf("%s: the cookie is %s", name, got)
		}
		text, err := base64.RawURLEncoding.DecodeString(got.Value)
		if err != nil || bytes.Contains(text, []byte("secret")) || strings.Contains(got.Value, k.owner.Secret) {
			t.Errorf("%s: the cookie can be read: %q, %v", name, text, err)
		}
		// Later pages are requested without these headers.
		delete(v.header, "Origin")
		delete(v.header, "X-Forwarded-Proto")
		v.get("/console/keys").want(http.StatusOK)
		if out := v.post("/console/sign-out", nil).goes("/console/sign-in").cookies[c.cookie]; out == nil || out.MaxAge >= 0 || out.Secure != c.secure {
			t.Errorf("%s: signing out leaves the cookie: %v", name, out)
		}
	}
}

func TestForeignCookies(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	v.signIn(k.owner)
	good := v.cookies["apikeyd"]
	other := newKit(t, options{}).visitor()
	other.signIn(other.owner)
	sealed, err := base64.RawURLEncoding.DecodeString(good)
	k.must(err)
	values := map[string]string{
		"empty": "", "text": "admin", "truncated": good[:len(good)-4], "only a nonce": good[:16], "longer": good + "AAAA",
		"of another server": other.cookies["apikeyd"],
	}
	for i := range len(sealed) {
		changed := slices.Clone(sealed)
		changed[i] ^= 1
		values["changed at "+string(rune('A'+i))] = base64.RawURLEncoding.EncodeToString(changed)
	}
	for name, value := range values {
		v := k.visitor()
		v.cookies["apikeyd"] = value
		a := v.get("/console/keys")
		if a.signedOut(""); strings.Contains(a.body, "acme") {
			t.Errorf("%s: the page shows keys", name)
		}
	}
	// A value that is sealed for one purpose is invalid for others.
	swapped := k.visitor()
	swapped.cookies["__Host-apikeyd"] = good
	swapped.get("/console/keys").signedOut("")
	v.get("/console/keys").want(http.StatusOK)
}

func TestIdleEnd(t *testing.T) {
	t.Parallel()
	c := storetest.NewClock()
	k := newKit(t, options{now: c.Now})
	v := k.visitor()
	v.signIn(k.owner)
	for range 3 {
		c.Advance(29 * time.Minute)
		v.get("/console/keys").want(http.StatusOK)
	}
	c.Advance(30 * time.Minute)
	v.get("/console/keys").signedOut("Your session has ended.")

	// Polling does not count.
	v.signIn(k.owner)
	v.header["Console-Poll"] = "1"
	for range 2 {
		c.Advance(14 * time.Minute)
		if a := v.get("/console/keys").want(http.StatusOK); len(a.cookies) != 0 {
			t.Errorf("a poll changes the session: %v", a.cookies)
		}
	}
	c.Advance(2 * time.Minute)
	v.header["Hx-Request"] = "true"
	a := v.get("/console/keys").want(http.StatusNoContent)
	if a.header.Get("Hx-Refresh") != "true" {
		t.Error("a partial update does not reload the whole page")
	}
}

func TestAbsoluteEnd(t *testing.T) {
	t.Parallel()
	c := storetest.NewClock()
	k := newKit(t, options{now: c.Now})
	v := k.visitor()
	v.signIn(k.owner)
	for range 36 {
		v.get("/console/keys").want(http.StatusOK)
		c.Advance(20 * time.Minute)
	}
	v.get("/console/keys").signedOut("Your session has ended.")
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	c := storetest.NewClock()
	k := newKit(t, options{now: c.Now})
	v := k.visitor()
	v.signIn(k.owner)
	thief := v.copy()
	thief.get("/console/keys").want(http.StatusOK)
	v.post("/console/sign-out", nil).goes("/console/sign-in")
	thief.get("/console/keys").signedOut("Your session has ended.")
	v.get("/console/keys").signedOut("")
	v.post("/console/sign-out", nil).goes("/console/sign-in") // a second time does no harm

	// Another session of the same key is another session.
	v.signIn(k.owner)
	v.get("/console/keys").want(http.StatusOK)

	// A copy that is in use ends even if the session itself had already timed out.
	thief = v.copy()
	c.Advance(20 * time.Minute)
	thief.get("/console/keys").want(http.StatusOK)
	c.Advance(20 * time.Minute)
	v.post("/console/sign-out", nil).goes("/console/sign-in")
	thief.get("/console/keys").signedOut("Your session has ended.")
}

// The session ends with its key, whatever ends the key.
func TestKeyEndsSession(t *testing.T) {
	t.Parallel()
	c := storetest.NewClock()
	k := newKit(t, options{now: c.Now})
	admin, err := client.New(k.URL, k.admin.Secret, client.Options{HTTPClient: k.Plain})
	k.must(err)
	for name, end := range map[string]struct {
		of   func(id string) error
		says string
	}{
		"revoked":   {func(id string) error { _, err := admin.Revoke(t.Context(), id); return err }, "was revoked"},
		"suspended": {func(id string) error { _, err := admin.Suspend(t.Context(), id); return err }, "was suspended"},
		"rotated": {func(id string) error {
			_, err := admin.Rotate(t.Context(), id, 0)
			return err
		}, "Your session has ended: "},
		"without keys:read": {func(id string) error {
			scopes := []string{"datasets:read"}
			_, err := admin.Update(t.Context(), id, client.Change{Scopes: &scopes})
			return err
		}, ""},
		"expired": {func(id string) error {
			soon := c.Now().Add(time.Minute)
			_, err := admin.Update(t.Context(), id, client.Change{ExpiresAt: &soon})
			c.Advance(time.Minute)
			return err
		}, "expired"},
	} {
		with := k.add("acme", name, apikey.ScopeRead)
		v := k.visitor()
		v.signIn(with)
		v.get("/console/keys").want(http.StatusOK)
		k.must(end.of(with.ID.String()))
		if end.says == "" {
			v.get("/console/keys").want(http.StatusForbidden, "Your key may not do this", "keys:read", "Sign in with another key")
			continue
		}
		v.get("/console/keys").signedOut(end.says)
		v.get("/console/keys").signedOut("") // and stays so
	}
}

func TestSigningInIsRefused(t *testing.T) {
	t.Parallel()
	c := storetest.NewClock()
	k := newKit(t, options{now: c.Now})
	blind := k.add("acme", "blind", apikey.ScopeVerify)
	stranger := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	for name, s := range map[string]struct {
		secret string
		status int
		says   string
	}{
		"nothing":           {"", http.StatusBadRequest, "This is no apikeyd key"},
		"no key":            {"swordfish", http.StatusBadRequest, "This is no apikeyd key"},
		"unknown":           {stranger, http.StatusForbidden, `role="alert"`},
		"without keys:read": {blind.Secret, http.StatusForbidden, "keys:read"},
	} {
		v := k.visitor()
		a := v.post("/console/sign-in", url.Values{"secret": {s.secret}, "return": {"/console/keys?q=a"}})
		a.want(s.status, s.says, `aria-invalid="true"`, `value="/console/keys?q=a"`)
		if len(v.cookies) != 0 || s.secret != "" && strings.Contains(a.body, s.secret) {
			t.Errorf("%s: a session, or the secret, is in the answer:\n%s", name, a.body)
		}
	}
	// A kept form does not bring a secret back, whoever made it.
	a := k.visitor().post("/console/sign-in", url.Values{"secret": {"x"}, "typed": {"name=kept&secret=unsaid"}})
	if a.want(http.StatusBadRequest, "name=kept"); strings.Contains(a.body, "unsaid") {
		t.Errorf("a secret comes back:\n%s", a.body)
	}
	// White space around the pasted key is ignored.
	k.visitor().post("/console/sign-in", url.Values{"secret": {" " + k.owner.Secret + "\r\n"}}).goes("/console")
}

// Signing in does not continue a session that an attacker planted.
func TestSessionFixation(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	attacker := k.visitor()
	attacker.signIn(k.owner)
	victim := attacker.copy()
	planted := victim.cookies["apikeyd"]
	victim.signIn(k.admin)
	if victim.cookies["apikeyd"] == planted {
		t.Error("the planted session goes on")
	}
	attacker.get("/console/keys").signedOut("Your session has ended.") // it was replaced
	victim.get("/console/keys").want(http.StatusOK)
}

func TestFailuresAreSlowed(t *testing.T) {
	t.Parallel()
	c := storetest.NewClock()
	k := newKit(t, options{now: c.Now, api: func(a *handlers.Config) {
		a.AuthFailures = apikey.RateLimit{Limit: 3, Window: time.Minute}
		a.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	}})
	try := func(v *visitor) reply {
		wrong := apikey.NewSecret("ak", apikey.NewID()).Reveal()
		return v.post("/console/sign-in", url.Values{"secret": {wrong}})
	}
	noisy := k.visitor()
	for range 3 {
		try(noisy).want(http.StatusForbidden)
	}
	if a := try(noisy).want(http.StatusTooManyRequests, "Too many"); a.header.Get("Retry-After") != "20" {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
	noisy.signIn(k.owner) // a valid key passes

	proxied := k.visitor()
	proxied.from, proxied.header["X-Forwarded-For"] = "198.51.100.7:1", "203.0.113.9, 192.0.2.1"
	try(proxied).want(http.StatusTooManyRequests)
	proxied.header["X-Forwarded-For"] = "192.0.2.2"
	try(proxied).want(http.StatusForbidden)
	liar := k.visitor() // not a trusted proxy
	liar.header["X-Forwarded-For"] = "192.0.2.2"
	try(liar).want(http.StatusTooManyRequests)
}

// A text that is not a key counts like a wrong key.
func TestNonsenseIsSlowed(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{api: func(a *handlers.Config) {
		a.AuthFailures = apikey.RateLimit{Limit: 3, Window: time.Hour}
	}})
	v := k.visitor()
	for _, text := range []string{"", "hunter2", "a\x00\r\n\xff"} {
		v.post("/console/sign-in", url.Values{"secret": {text}}).want(http.StatusBadRequest)
	}
	v.post("/console/sign-in", url.Values{"secret": {"hunter2"}}).want(http.StatusTooManyRequests, "Too many")
	v.signIn(k.owner)
}

// A form without a session may be large enough to keep what was typed, and no larger.
func TestStrangersForms(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	many := strings.Repeat("&a=b", 500)
	for name, form := range map[string]string{
		"sign-in, large": "secret=x&typed=" + strings.Repeat("a", 48<<10), "sign-in, many fields": "secret=x" + many,
	} {
		if got := v.post("/console/sign-in", mustQuery(t, form)).status; got != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status %d", name, got)
		}
	}
	large := url.Values{"name": {strings.Repeat("n", 20<<10)}}
	v.post("/console/keys/new", large).want(http.StatusRequestEntityTooLarge)
	v.get("/console/sign-in?" + many).want(http.StatusRequestEntityTooLarge)
	v.signIn(k.owner)
	v.post("/console/keys/new", large).want(http.StatusBadRequest) // the API checks each field
}

func mustQuery(t *testing.T, text string) url.Values {
	t.Helper()
	values, err := url.ParseQuery(text)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// Consoles with the same key accept each other's sessions; with different keys they do not.
func TestRestart(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{console: func(c *console.Config) { c.Key = bytes.Repeat([]byte{7}, console.KeySize) }})
	v := k.visitor()
	v.signIn(k.owner)
	for name, restarted := range map[string]struct {
		key  []byte
		want int
	}{
		"same key":    {bytes.Repeat([]byte{7}, console.KeySize), http.StatusOK},
		"another key": {bytes.Repeat([]byte{8}, console.KeySize), http.StatusSeeOther},
		"a new key":   {nil, http.StatusSeeOther},
	} {
		other := *k
		other.handler = k.again(restarted.key)
		visit := other.visitor()
		visit.cookies = v.cookies
		if a := visit.get("/console/keys"); a.status != restarted.want {
			t.Errorf("%s: status %d, want %d", name, a.status, restarted.want)
		}
	}
	if _, err := console.New(console.Config{Key: []byte("short")}); err == nil {
		t.Error("a short key is taken")
	}
}

// again starts another console for the same service.
func (k *kit) again(key []byte) http.Handler {
	k.Helper()
	pages, err := console.New(console.Config{API: k.handler, Log: k.log, Now: time.Now, Key: key})
	k.must(err)
	return pages
}
