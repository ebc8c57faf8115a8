package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/client"
)

// Networks are set in the form, shown on a key's page, and tried out; uses from outside are marked.
func TestNetworks(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	v.signIn(k.admin)
	v.post("/console/keys/new", url.Values{"name": {"backend"}, "owner": {"acme"}, "expires": {"30"},
		"allowed_cidrs": {" 192.0.2.0/24, 2001:db8::7 "}, "observe_cidrs": {"192.0.2.7"}}).want(http.StatusSeeOther)
	made := k.get("acme", "backend")
	wants := func(allowed, observed []string) {
		t.Helper()
		got := k.get("acme", "backend")
		if diff := cmp.Diff([2][]string{allowed, observed}, [2][]string{got.AllowedCIDRs, got.ObserveCIDRs}); diff != "" {
			t.Errorf("the networks differ (-want +got):\n%s", diff)
		}
	}
	wants([]string{"192.0.2.0/24", "2001:db8::7/128"}, []string{"192.0.2.7/32"})
	page := "/console/keys/" + made.ID
	v.get(page).want(http.StatusOK, "Allowed networks", "<code>192.0.2.0/24</code> <code>2001:db8::7/128</code>", "Observed networks")
	v.get(page+"/edit").want(http.StatusOK, `value="192.0.2.0/24 2001:db8::7/128"`, `value="192.0.2.7/32"`)

	edit := func(allowed, observed string) url.Values {
		return url.Values{"name": {"backend"}, "expires": {"keep"}, "allowed_cidrs": {allowed}, "observe_cidrs": {observed}}
	}
	v.post(page+"/edit", edit("192.0.2.7/24", "")).want(http.StatusBadRequest, `id="allowed_cidrs-fault"`, "write 192.0.2.0/24 for the network")
	v.post(page+"/edit", edit("", "localhost")).want(http.StatusBadRequest, `id="observe_cidrs-fault"`, "such as 192.0.2.0/24")
	wants([]string{"192.0.2.0/24", "2001:db8::7/128"}, []string{"192.0.2.7/32"})
	form := edit("", "192.0.2.0/24")
	v.post(page+"/edit", form).want(http.StatusOK, "Save these changes", "allowed networks</bdi>:", "<code>192.0.2.0/24</code>")
	form.Set("step", "save")
	v.post(page+"/edit", form).want(http.StatusSeeOther)
	wants(nil, []string{"192.0.2.0/24"})

	created, err := k.as(k.admin).Create(t.Context(), client.NewKey{Name: "tried", ExpiresAt: time.Now().Add(time.Hour),
		Scopes: &[]string{}, AllowedCIDRs: &[]string{"192.0.2.0/24"}, ObserveCIDRs: &[]string{"192.0.2.7"}})
	k.must(err)
	try := func(address string) url.Values {
		return url.Values{"secret": {created.Secret.Reveal()}, "scopes": {""}, "address": {address}}
	}
	v.post("/console/try", try("192.0.2.7")).want(http.StatusOK, "VALID", "&#34;client_address&#34;: &#34;192.0.2.7&#34;}")
	v.post("/console/try", try("198.51.100.1")).want(http.StatusOK, "ADDRESS_NOT_ALLOWED", "its allowed networks are 192.0.2.0/24, as far as its owner")
	v.post("/console/try", try("")).want(http.StatusOK, "ADDRESS_NOT_ALLOWED")
	v.post("/console/try", try("nonsense")).want(http.StatusBadRequest, `id="address-fault"`, "IP address")

	tried := "/console/keys/" + created.ID
	if body := v.get(tried).want(http.StatusOK).body; strings.Contains(body, "It was used from outside") {
		t.Error("a use within the observed networks is marked")
	}
	v.post("/console/try", try("192.0.2.8")).want(http.StatusOK, "VALID")
	k.must(k.Verifier.Close(t.Context()))
	v.get(tried).want(http.StatusOK, "It was used from outside its observed networks, from <code>192.0.2.8</code>",
		"<strong>Used from outside its observed networks</strong>")
	v.get("/console/audit?action=outside").want(http.StatusOK, "Used from outside its observed networks")

	// Others may set networks too, but only an admin sees the log.
	v.signIn(k.owner)
	v.post("/console/keys/new", url.Values{"name": {"mine"}, "expires": {"30"}, "allowed_cidrs": {"192.0.2.7"}}).want(http.StatusSeeOther)
	if got := k.get("acme", "mine").AllowedCIDRs; !cmp.Equal(got, []string{"192.0.2.7/32"}) {
		t.Errorf("the networks are %q", got)
	}
}
