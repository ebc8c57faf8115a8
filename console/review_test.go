package console_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/client"
)

// A key's page leads to what it needs, and narrows it to that.
func TestReview(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	admin := k.as(k.admin)
	made, err := admin.Create(t.Context(), client.NewKey{Name: "worker", ExpiresAt: time.Now().Add(time.Hour), Scopes: &[]string{"a'b", "c"}})
	k.must(err)
	page := "/console/keys/" + made.ID
	v := k.visitor()
	v.signIn(k.admin)
	v.get(page).want(http.StatusOK, page+"/review")
	v.get(page+"/review").want(http.StatusOK, "<code>a&#39;b</code></td><td>never", "Nothing to propose")

	_, err = admin.VerifyCall(t.Context(), client.Call{Secret: made.Secret.Reveal(), Scopes: []string{"a'b"}, ClientAddress: "192.0.2.7"})
	k.must(err)
	v.get(page+"/review").want(http.StatusOK, "<code>192.0.2.0/24</code></td><td>"+time.Now().UTC().Format(time.DateOnly),
		"apikeyd keys update "+made.ID+" --scope &#39;a&#39;\\&#39;&#39;b&#39; --allowed-cidr &#39;192.0.2.0/24&#39;",
		`name="scope" value="a&#39;b"`, `name="network" value="192.0.2.0/24"`)
	v.post(page+"/review", url.Values{"scope": {"a'b"}, "network": {"192.0.2.0/24"}}).want(http.StatusSeeOther)
	got, err := admin.Get(t.Context(), made.ID)
	k.must(err)
	if diff := cmp.Diff([2][]string{{"a'b"}, {"192.0.2.0/24"}}, [2][]string{got.Scopes, got.AllowedCIDRs}); diff != "" {
		t.Errorf("the narrower key differs (-want +got):\n%s", diff)
	}
	v.get(page+"/review").want(http.StatusOK, "Nothing to propose")
}
