package console_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"apikeyd/client"
)

// Admins set quotas, and a key's page and the answers of Try it say what is left.
func TestQuota(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.visitor()
	v.signIn(k.admin)
	v.post("/console/keys/new", url.Values{"name": {"limited"}, "owner": {"acme"}, "expires": {"30"},
		"quota": {" 1000 "}, "period": {"month"}, "starts": {"15"}}).want(http.StatusSeeOther)
	made := k.get("acme", "limited")
	if want := (client.Quota{Limit: 1000, Period: client.Month, StartsOn: 15}); made.Quota != want {
		t.Errorf("the quota is %+v, want %+v", made.Quota, want)
	}
	page := "/console/keys/" + made.ID
	v.get(page).want(http.StatusOK, "1000 units per month from day 15; 1000 left, reset <time")
	v.get(page+"/edit").want(http.StatusOK, `name="quota" inputmode="numeric" autocomplete="off" placeholder="no quota" value="1000"`,
		`<option value="month" selected>`, `name="starts" inputmode="numeric" autocomplete="off" value="15"`)

	created, err := k.as(k.admin).Create(t.Context(), client.NewKey{Name: "tried", ExpiresAt: time.Now().Add(time.Hour),
		Scopes: &[]string{}, Quota: &client.Quota{Limit: 10, Period: client.Day}})
	k.must(err)
	try := func(cost string) url.Values {
		return url.Values{"secret": {created.Secret.Reveal()}, "scopes": {""}, "cost": {cost}}
	}
	v.post("/console/try", try("")).want(http.StatusOK, "VALID", "Left of its quota: 9 units.")
	v.post("/console/try", try("8")).want(http.StatusOK, "VALID", "Left of its quota: 1 unit.", "&#34;cost&#34;: 8}")
	v.post("/console/try", try("2")).want(http.StatusOK, "QUOTA_EXCEEDED", "Left of its quota: 1 unit.", "whole again in ")
	v.post("/console/try", try("0")).want(http.StatusOK, "VALID", "Left of its quota: 1 unit.")
	for cost, why := range map[string]string{"much": "Must be a whole number.", "1000001": "1000000", "-1": "0"} {
		v.post("/console/try", try(cost)).want(http.StatusBadRequest, `id="cost-fault"`, why)
	}
	v.get("/console/keys/"+created.ID).want(http.StatusOK, "10 units per day; 1 left, reset <time")

	// Others see their quota, and have no field for it.
	v.signIn(k.owner)
	v.post("/console/keys/new", url.Values{"name": {"mine"}, "expires": {"30"}, "quota": {"5"}, "period": {"day"}, "starts": {"1"}}).
		want(http.StatusSeeOther)
	if got := k.get("acme", "mine").Quota; got != (client.Quota{}) {
		t.Errorf("without keys:admin the quota is %+v", got)
	}
}
