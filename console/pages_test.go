package console_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"apikeyd/apikey"
)

// scene is a page as one reader sees it.
type scene struct {
	name   string
	path   string // with {id} for the owner's key and {webhook} for a webhook
	as     func(*kit) key
	status int
}

// The readers of pages.
func nobody(*kit) key    { return key{} }
func admin(k *kit) key   { return k.admin }
func anOwner(k *kit) key { return k.owner }

// everyScene returns each page of the console in each of its states, for tests about all pages.
func everyScene() []scene {
	return []scene{
		{"sign-in", "/console/sign-in", nobody, http.StatusOK},
		{"asks to sign in", "/console/sign-in?return=%2Fconsole%2Fkeys&why=ended", nobody, http.StatusOK},
		{"an owner link without its token", "/console/link", nobody, http.StatusOK},
		{"overview of all", "/console", admin, http.StatusOK},
		{"overview of an owner", "/console", anOwner, http.StatusOK},
		{"keys of all", "/console/keys", admin, http.StatusOK},
		{"keys of an owner, for an admin", "/console/keys?owner=acme&q=CI", admin, http.StatusOK},
		{"keys by filters", "/console/keys?owner=acme&scope=datasets%3Aread&status=active", admin, http.StatusOK},
		{"keys of an owner", "/console/keys", anOwner, http.StatusOK},
		{"keys without a match", "/console/keys?q=nothing&scope=x&metadata=plan%3Dpro&status=active", anOwner, http.StatusOK},
		{"keys past the end", "/console/keys?page=9", anOwner, http.StatusOK},
		{"keys that are not used", "/console/keys?unused=1", admin, http.StatusOK},
		{"new key", "/console/keys/new", admin, http.StatusOK},
		{"new key of an owner", "/console/keys/new", anOwner, http.StatusOK},
		{"a key", "/console/keys/{id}", admin, http.StatusOK},
		{"an own key", "/console/keys/{id}", anOwner, http.StatusOK},
		{"edit", "/console/keys/{id}/edit", admin, http.StatusOK},
		{"a key as it was", "/console/keys/{id}/then", anOwner, http.StatusOK},
		{"a time that is none", "/console/keys/{id}/then?at=x", admin, http.StatusBadRequest},
		{"what a key needs", "/console/keys/{id}/review", anOwner, http.StatusOK},
		{"rotate", "/console/keys/{id}/rotate", anOwner, http.StatusOK},
		{"revoke", "/console/keys/{id}/revoke", anOwner, http.StatusOK},
		{"revoke several", "/console/keys/revoke?id={id}", admin, http.StatusOK},
		{"owners", "/console/owners", admin, http.StatusOK},
		{"owners without a match", "/console/owners?q=nothing&state=suspended", admin, http.StatusOK},
		{"no owners for owners", "/console/owners", anOwner, http.StatusForbidden},
		{"an owner", "/console/owners/owner?owner=acme", admin, http.StatusOK},
		{"the own owner", "/console/owners/owner?owner=admin", admin, http.StatusOK},
		{"the own owner, for others", "/console/owners/owner?owner=acme", anOwner, http.StatusOK},
		{"no such owner", "/console/owners/owner?owner=nobody", admin, http.StatusNotFound},
		{"edit an owner", "/console/owners/edit?owner=acme", admin, http.StatusOK},
		{"revoke all of an owner", "/console/owners/revoke?owner=acme", admin, http.StatusOK},
		{"import", "/console/import", admin, http.StatusOK},
		{"no import for owners", "/console/import", anOwner, http.StatusForbidden},
		{"webhooks", "/console/webhooks", admin, http.StatusOK},
		{"no webhooks for owners", "/console/webhooks", anOwner, http.StatusForbidden},
		{"new webhook", "/console/webhooks/new", admin, http.StatusOK},
		{"a webhook", "/console/webhooks/{webhook}", admin, http.StatusOK},
		{"a webhook without such deliveries", "/console/webhooks/{webhook}?state=failed", admin, http.StatusOK},
		{"edit a webhook", "/console/webhooks/{webhook}/edit", admin, http.StatusOK},
		{"rotate a webhook's secret", "/console/webhooks/{webhook}/rotate", admin, http.StatusOK},
		{"delete a webhook", "/console/webhooks/{webhook}/delete", admin, http.StatusOK},
		{"no such webhook", "/console/webhooks/00000000-0000-7000-8000-000000000000", admin, http.StatusNotFound},
		{"server", "/console/server", admin, http.StatusOK},
		{"no server for owners", "/console/server", anOwner, http.StatusForbidden},
		{"audit", "/console/audit", admin, http.StatusOK},
		{"audit of one key", "/console/audit?key={id}&action=create", admin, http.StatusOK},
		{"audit that cannot be", "/console/audit?key=x", admin, http.StatusBadRequest},
		{"no audit for owners", "/console/audit", anOwner, http.StatusForbidden},
		{"try it", "/console/try", admin, http.StatusOK},
		{"no such page", "/console/nowhere", admin, http.StatusNotFound},
		{"no such key", "/console/keys/00000000-0000-7000-8000-000000000000/secret", anOwner, http.StatusNotFound},
	}
}

// visit requests the scene.
func (s scene) visit(k *kit) reply {
	k.Helper()
	v := k.visitor()
	if as := s.as(k); as.Secret != "" {
		v.signIn(as)
	}
	return v.get(s.at(k)).want(s.status)
}

func (s scene) at(k *kit) string {
	k.Helper()
	path := strings.ReplaceAll(s.path, "{id}", k.owner.ID.String())
	if strings.Contains(path, "{webhook}") {
		path = strings.ReplaceAll(path, "{webhook}", k.hook().ID)
	}
	return path
}

// secretSource is a way to get a new secret. It returns the page that shows it.
type secretSource struct {
	name string
	make func(*kit, *visitor) reply
}

// everySecretSource returns all ways to get a new secret.
func everySecretSource() []secretSource {
	return []secretSource{
		{"created over the API", func(k *kit, _ *visitor) reply {
			return k.call(http.MethodPost, "/v1/api-keys", `{"name":"made","expires_at":"2090-01-01T00:00:00Z"}`)
		}},
		{"rotated over the API", func(k *kit, _ *visitor) reply {
			return k.call(http.MethodPost, "/v1/api-keys/"+k.spare().ID.String()+"/rotate", `{}`)
		}},
		{"created", func(_ *kit, v *visitor) reply {
			return v.reveal("/console/keys/new", url.Values{"name": {"made here"}, "expires": {"90"}})
		}},
		{"rotated", func(k *kit, v *visitor) reply {
			return v.reveal("/console/keys/"+k.spare().ID.String()+"/rotate", url.Values{"grace": {"0"}})
		}},
	}
}

// call calls the API with the owner's key.
func (k *kit) call(method, path, body string) reply {
	k.Helper()
	r, err := http.NewRequestWithContext(k.Context(), method, k.below(path), strings.NewReader(body))
	k.must(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Api-Key", k.owner.Secret)
	return k.visitor().do(r)
}

// spare creates another key of the owner.
func (k *kit) spare() key {
	return k.add("acme", "spare "+apikey.NewID().String()[14:], "datasets:read")
}

// reveal sends a form that leads to the page of a new secret.
func (v *visitor) reveal(path string, form url.Values) reply {
	v.Helper()
	a := v.post(path, form).want(http.StatusSeeOther)
	return v.get(a.header.Get("Location")).want(http.StatusOK)
}

// A new secret is in exactly one answer of the whole service, and the reader's own secret in none.
func TestSecretsAreShownOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	k.add("admin", "another", apikey.ScopeRead)
	v := k.visitor()
	v.signIn(k.owner)
	made := map[string]string{}
	for _, m := range everySecretSource() {
		a := m.make(k, v)
		found := anySecret.FindAllString(a.body, -1)
		found = slices.Compact(found)
		if len(found) != 1 {
			t.Fatalf("%s: there are %d secrets in\n%s", m.name, len(found), a.body)
		}
		made[found[0]] = m.name
		v.get(a.address()) // a second time, it must not be shown
	}
	for _, s := range everyScene() {
		s.visit(k)
	}
	v.get("/console/keys/" + k.owner.ID.String() + "/secret").goes("/console/keys/" + k.owner.ID.String())
	for secret, name := range made {
		if found := k.sent.with(secret); len(found) != 1 {
			t.Errorf("%s: the secret is in %q, want one answer", name, found)
		}
		if strings.Contains(k.Log.String(), secret) {
			t.Errorf("%s: the secret is in the log", name)
		}
	}
	for _, own := range []key{k.admin, k.owner} {
		if found := k.sent.with(own.Secret); len(found) != 0 {
			t.Errorf("the secret of %s is in %q", own.Name, found)
		}
		if strings.Contains(k.Log.String(), own.Secret) {
			t.Errorf("the secret of %s is in the log", own.Name)
		}
	}
}

// anySecret matches secrets.
var anySecret = regexp.MustCompile(`ak_[0-9A-Za-z]{60}`)

// address returns the requested address.
func (a reply) address() string {
	_, path, _ := strings.Cut(a.request, " ")
	return path
}
