package console_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
	"apikeyd/client"
)

// Missing pages and states are reported, and the reader stays in the console.
func TestNothingLikeThat(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	v.get("/console/sign-in").want(http.StatusOK, `autocomplete="username"`, `autocomplete="current-password"`)
	long := url.Values{"name": {strings.Repeat("n", 20_000)}}
	v.post("/console/keys/new", long).want(http.StatusRequestEntityTooLarge, "<h1>You are signed out</h1>", "Sign in in another tab")
	v.get("/console/nowhere").want(http.StatusNotFound, "<h1>There is no such page</h1>")
	v.signIn(k.owner)
	v.get("/console/nowhere").want(http.StatusNotFound, "<h1>There is no such page</h1>", `href="/console/keys"`, "Sign out")
	a := v.get("/console/keys?status=bogus").want(http.StatusBadRequest, "There is no status <bdi>bogus</bdi>")
	if strings.Contains(a.body, k.owner.Prefix) {
		t.Error("the page shows keys all the same")
	}
}

// A form shows all its faults at once, whether the console or the API finds them.
func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	v.signIn(k.admin)
	wrong := url.Values{
		"name": {""}, "owner": {" \x01"}, "expires": {"custom"}, "custom": {"soon"}, "scopes": {`a"b`},
		"metadata-name": {""}, "metadata-text": {"x"}, "limit": {"many"}, "window": {"1"}, "unit": {"60"},
		"quota": {"9"}, "period": {"week"}, "starts": {"soon"},
	}
	for name, change := range map[string]func(url.Values){
		"found here": func(url.Values) {},
		"found by the API": func(f url.Values) {
			f.Set("custom", "2001-01-01T00:00")
			f.Set("limit", "0")
			f.Set("starts", "8")
			f.Del("metadata-text")
		},
	} {
		form := url.Values{}
		for field, values := range wrong {
			form[field] = slices.Clone(values)
		}
		change(form)
		a := v.post("/console/keys/new", form).want(http.StatusBadRequest)
		for _, field := range []string{"name", "owner", "expires", "scopes", "limit", "starts"} {
			if !strings.Contains(a.body, `id="`+field+`-fault"`) {
				t.Errorf("%s: nothing is said about %s:\n%s", name, field, a.body)
			}
		}
	}
}

// A list of scopes takes white space and commas.
func TestScopesWithCommas(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	v.signIn(k.admin)
	v.post("/console/keys/new", url.Values{"name": {"listed"}, "owner": {"acme"}, "expires": {"7"},
		"scopes": {"datasets:read, reports:read;x,,\tplain"}}).want(http.StatusSeeOther)
	got := k.get("acme", "listed").Scopes
	if want := (apikey.Scopes{"datasets:read", "reports:read;x", "plain"}); !slices.Equal(got, want) {
		t.Errorf("the scopes are %q, want %q", got, want)
	}
}

// A mistyped key gets a message that says what is wrong with it.
func TestMistypedKeys(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	whole := k.owner.Secret
	other := map[bool]string{true: "b", false: "a"}[strings.HasSuffix(whole, "a")]
	for text, says := range map[string]string{
		whole[:len(whole)-1] + other: "mistyped: its checksum is wrong",
		whole[:len(whole)-9]:         "a key that is cut off",
		k.owner.Prefix:               "s prefix, as lists show it",
		"swordfish":                  "no apikeyd key",
	} {
		k.visitor().post("/console/sign-in", url.Values{"secret": {text}}).want(http.StatusBadRequest, says)
		v := k.visitor()
		v.signIn(k.admin)
		v.post("/console/try", url.Values{"secret": {text}}).want(http.StatusOK, says)
	}
	v := k.visitor()
	v.post("/console/sign-in", url.Values{"secret": {"\uFEFF" + whole + "\n"}}).goes("/console")
}

// A secret that was imported is none of ours, but is not mistyped either.
func TestImportedKeys(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	const secret = "legacy-secret-0001"
	rows, err := k.as(k.admin).Import(t.Context(), []client.ImportedKey{{Name: "imported", ExpiresAt: time.Now().Add(time.Hour), Secret: secret}}, false)
	k.must(err)
	for _, step := range []string{"VALID", "REVOKED"} {
		v := k.visitor()
		v.signIn(k.admin)
		if page := v.post("/console/try", url.Values{"secret": {secret}}).want(http.StatusOK, step); strings.Contains(page.body, "no apikeyd key") {
			t.Errorf("%s: the page says that it is no key", step)
		}
		_, err := k.as(k.admin).Revoke(t.Context(), rows[0].ID)
		k.must(err)
	}
}

// Revoked keys no longer expire, and events show the owner of the key.
func TestRowsAreTrue(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	gone := k.add("globex", "gone", "datasets:read")
	_, err := k.as(k.admin).Revoke(t.Context(), gone.ID.String())
	k.must(err)
	v := k.visitor()
	v.signIn(k.admin)
	a := v.get("/console/keys?status=revoked").want(http.StatusOK, "revoked</span> <time")
	if strings.Contains(a.body, `datetime="`+gone.ExpiresAt.UTC().Format("2006-01-02")) {
		t.Error("a revoked key is shown to expire")
	}
	if a := v.get(pathOf(gone.ID)).want(http.StatusOK, "<dt>Revoked</dt>"); strings.Contains(a.body, "<dt>Expires</dt>") {
		t.Error("the page of a revoked key says that it expires")
	}
	v.get("/console/audit").want(http.StatusOK, "of <a href=\"/console/audit?owner=globex\"><bdi>globex</bdi>")
	v.get("/console").want(http.StatusOK, "<bdi>globex</bdi>")
	// A use is shown before it is written.
	used := k.add("globex", "used", "datasets:read")
	_, err = k.as(k.admin).Verify(t.Context(), used.Secret)
	k.must(err)
	if a := v.get(pathOf(used.ID)).want(http.StatusOK, "<strong>1</strong> verified"); strings.Contains(a.body, "never") {
		t.Errorf("it was never used:\n%s", a.body)
	}
}

// The page of a secret shows commands for the key's scopes.
func TestSecretShowsItsUse(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	v.signIn(k.admin)
	for scopes, want := range map[string][]string{
		"":                          {"there"},
		"datasets:read":             {"there"},
		"keys:verify":               {"verify"},
		"keys:verify keys:read":     {"verify", "list"},
		"keys:read datasets:read":   {"list", "there"},
		"keys:write":                {"create"},
		"keys:admin":                {"list"},
		"keys:verify datasets:read": {"verify", "there"},
	} {
		form := url.Values{"name": {"for " + scopes}, "owner": {"acme"}, "expires": {"7"}, "scope": strings.Fields(scopes)}
		page := v.get(v.post("/console/keys/new", form).want(http.StatusSeeOther).header.Get("Location")).want(http.StatusOK)
		for _, id := range []string{"verify", "list", "create", "there"} {
			if strings.Contains(page.body, `<code id="`+id+`"`) != slices.Contains(want, id) {
				t.Errorf("%q: the commands are not %q:\n%s", scopes, want, page.body)
			}
		}
	}
}
