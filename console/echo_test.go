package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A secret pasted into the wrong field or address is not shown on any page, whether the reader is
// signed in or not.
func TestPastedSecrets(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	pasted := k.spare().Secret
	signedIn := k.visitor()
	signedIn.signIn(k.admin)
	id := k.owner.ID.String()
	for _, address := range []string{
		"/console?count=" + pasted,
		"/console/keys?q=" + pasted, "/console/keys?owner=" + pasted, "/console/keys?status=" + pasted,
		"/console/keys?scope=" + pasted, "/console/keys?metadata=" + pasted, "/console/keys?metadata=plan%3D" + pasted,
		"/console/keys/" + pasted, "/console/keys/" + pasted + "/edit", "/console/keys/" + pasted + "/secret",
		"/console/keys/" + id + "?before=" + pasted, "/console/keys/" + id + "/revoke?name=" + pasted,
		"/console/keys/" + id + "/rotate?grace=" + pasted, "/console/keys/" + id + "/edit?name=" + pasted,
		"/console/keys/revoke?id=" + pasted, "/console/keys/revoke?id=" + id + "&count=" + pasted,
		"/console/keys/revoke?id=" + id + "&return=" + url.QueryEscape("/console/keys?q="+pasted),
		"/console/keys/new?name=" + pasted + "&scopes=" + pasted + "&metadata-text=" + pasted + "&custom=" + pasted,
		"/console/audit?owner=" + pasted + "&key=" + pasted, "/console/audit?since=" + pasted,
		"/console/audit/export?format=" + pasted, "/console/audit/export?actor=" + pasted + "&since=x",
		"/console/try?scopes=" + pasted, "/console/nowhere/" + pasted,
		"/console/sign-in?return=" + url.QueryEscape("/console/keys?q="+pasted), "/console/sign-in?why=" + pasted,
	} {
		for _, visitor := range []*visitor{signedIn, k.visitor()} {
			wantWithout(visitor.get(address), pasted)
			if path, _, _ := strings.Cut(address, "?"); !strings.Contains(path, pasted) {
				wantWithout(visitor.post(path, url.Values{
					"name": {pasted}, "scopes": {pasted}, "count": {pasted}, "id": {pasted, id}, "grace": {pasted}, "expires": {pasted},
					"return": {"/console/keys?q=" + pasted}, "typed": {"name=" + pasted}, "secret": {pasted + "x"},
				}), pasted)
			}
		}
	}
	if log := k.Log.String(); strings.Contains(log, pasted) {
		t.Errorf("the secret is in the log:\n%s", log)
	}
}

// wantWithout checks that an answer does not contain a text.
func wantWithout(a reply, text string) {
	a.Helper()
	for name, values := range a.header {
		if strings.Contains(strings.Join(values, " "), text) {
			a.Errorf("%s: it is in the header %s", strings.ReplaceAll(a.request, text, "SECRET"), name)
		}
	}
	if strings.Contains(a.body, text) {
		a.Errorf("%s: it is on the page", strings.ReplaceAll(a.request, text, "SECRET"))
	}
}

// The log of a panic contains no secrets either.
func TestDefectsKeepSecrets(t *testing.T) {
	t.Parallel()
	k, api := newSwitched(t)
	pasted := k.spare().Secret
	v := k.visitor()
	v.signIn(k.owner)
	api.to(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, k.owner.ID.String()) {
			api.api.ServeHTTP(w, r) // identifies the reader
			return
		}
		panic(r.URL.Path)
	})
	wantWithout(v.get("/console/keys/"+pasted+"/revoke").want(http.StatusInternalServerError), pasted)
	if log := k.Log.String(); !strings.Contains(log, "the console panicked") || strings.Contains(log, pasted) {
		t.Errorf("the log is\n%s", log)
	}
}

// A link cannot fill in the confirmation of a revocation.
func TestLinksConfirmNothing(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	spare := k.spare()
	k.use(spare)
	v := k.visitor()
	v.signIn(k.owner)
	for _, address := range []string{
		pathOf(spare.ID, "revoke") + "?name=" + url.QueryEscape(spare.Name), "/console/keys/revoke?id=" + spare.ID.String() + "&count=1",
	} {
		v.get(address).want(http.StatusOK, `required value=""`)
	}
}
