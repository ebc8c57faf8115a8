package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"apikeyd/client"
)

// TestDescription finds the field that the walk-through adds in a key's form, page and history.
func TestDescription(t *testing.T) {
	k := newKit(t, options{})
	v := k.visitor()
	v.signIn(k.admin)
	v.get("/console/keys/new").want(http.StatusOK, `name="description"`)
	v.post("/console/keys/new", url.Values{"name": {"n"}, "description": {"for tests"}, "expires": {"30"}})
	made, err := k.as(k.admin).Get(t.Context(), "n")
	k.must(err)
	page := "/console/keys/" + made.ID
	v.get(page).want(http.StatusOK, "for tests")
	changed, err := k.as(k.admin).Update(t.Context(), made.ID, client.Change{Description: new("for more")})
	k.must(err)
	v.get(page).want(http.StatusOK, "for tests", changed.Description)
	v.get(page+"/edit").want(http.StatusOK, `value="for more"`)
	v.post("/console/keys/new", url.Values{"name": {"m"}, "description": {strings.Repeat("a", 201)}, "expires": {"30"}}).
		want(http.StatusBadRequest, "0 to 200 characters")
}
