package console_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"apikeyd/client"
)

// Of two editors of one key, the second hears of the first one's change before anything of it is lost.
func TestTwoEditors(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	edit := pathOf(k.owner.ID, "edit")
	v := k.visitor()
	v.signIn(k.admin)
	open := func() url.Values {
		page := v.get(edit).want(http.StatusOK).body
		form := url.Values{"name": {k.owner.Name}, "scope": k.owner.Scopes[:2], "scopes": {"datasets:read"}, "expires": {"keep"}}
		for _, name := range []string{"was", "etag"} {
			form.Set(name, hidden(t, page, name))
		}
		return form
	}
	first, second := open(), open()
	first.Set("name", "by the first")
	second.Set("scopes", "datasets:read datasets:write")
	second.Set("name", "by the second")
	v.post(edit, first).want(http.StatusOK, "Save these changes")
	first.Set("step", "save")
	v.post(edit, first).goes(pathOf(k.owner.ID))
	refused := v.post(edit, second).want(http.StatusPreconditionFailed, "Somebody changed this key meanwhile", "by the second", "datasets:write")
	if got := k.get("", k.owner.ID.String()); got.Name != "by the first" || len(got.Scopes) != 3 {
		t.Errorf("after the refusal the key is %+v", got)
	}
	// Sent again, the form takes effect, and would not if a third editor came in between.
	second.Set("etag", hidden(t, refused.body, "etag"))
	_, err := k.as(k.admin).Update(t.Context(), k.owner.ID.String(), client.Change{Metadata: &map[string]string{"by": "a third"}})
	k.must(err)
	second.Set("step", "save") // a change after the confirmation was shown counts too
	refused = v.post(edit, second).want(http.StatusPreconditionFailed)
	second.Set("etag", hidden(t, refused.body, "etag"))
	second.Set("step", "save")
	v.post(edit, second).goes(pathOf(k.owner.ID))
	if got := k.get("", k.owner.ID.String()); got.Name != "by the second" || len(got.Scopes) != 4 || got.Metadata["by"] != "a third" {
		t.Errorf("at the end the key is %+v", got)
	}
}

// hidden returns the value of a hidden field.
func hidden(t *testing.T, page, name string) string {
	t.Helper()
	found := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("the page has no field %s:\n%s", name, page)
	}
	return html.UnescapeString(found[1])
}
