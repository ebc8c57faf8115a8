package console_test

import (
	"net/http"
	"net/url"
	"testing"

	"apikeyd/apikey"
)

// The audit log is filtered by a key's name: at once if one key has it, else after a choice.
func TestAuditByName(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	only := k.add("acme", "only one & more", "datasets:read")
	first := k.add("acme", "twice", "datasets:read")
	_, err := k.as(k.admin).Revoke(t.Context(), first.ID.String())
	k.must(err)
	second, others := k.add("acme", "twice", "datasets:read"), k.add("globex", "twice", "datasets:read")
	v := k.adminVisitor()
	named := func(name, owner string) string {
		form := url.Values{"key": {name}, "action": {"create"}}
		if owner != "" {
			form.Set("owner", owner)
		}
		return "/console/audit?" + form.Encode()
	}
	v.get(named(only.Name, "")).goes(named(only.ID.String(), ""))
	v.get(named(only.ID.String(), "")).want(http.StatusOK, "only one &amp; more", "of <a href=\"/console/audit?owner=acme\">")
	v.get(named("twice", "globex")).goes(named(others.ID.String(), "globex"))
	a := v.get(named("twice", "")).want(http.StatusBadRequest, "Several keys have or had this name")
	for _, one := range []key{first, second, others} {
		a.want(http.StatusBadRequest, "key="+one.ID.String(), one.Prefix+"…")
	}
	for _, none := range []string{"only", "Twice", "\x00", k.owner.Secret[:20]} {
		v.get(named(none, "")).want(http.StatusBadRequest, "No key has this name")
	}
	v.get(named("acme's own", "\x00")).want(http.StatusBadRequest, "No key has this name")
	v.get("/console/audit?key="+apikey.NewID().String()).want(http.StatusOK, "No events match")
}
