package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The search finds what the table shows. A search without results says so and does not offer to
// create a key for an owner of that name.
func TestSearchFields(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	deploy := k.add("Globex", "CI Deploy")
	k.add("initech", "Ключ")
	v := k.visitor()
	v.signIn(k.admin)
	prefix := deploy.Prefix
	for text, want := range map[string]string{
		"ci dep": "CI Deploy", "  CI ": "CI Deploy", "glOBEX": "CI Deploy", prefix: "CI Deploy", prefix + "…": "CI Deploy",
		prefix[3:]: "CI Deploy", "КЛЮЧ": "Ключ", "TECH": "Ключ", "glo ci": "", "init%": "",
	} {
		page := v.get("/console/keys?q=" + url.QueryEscape(text)).want(http.StatusOK)
		for _, name := range []string{"CI Deploy", "Ключ"} {
			if found := strings.Contains(page.body, "<bdi>"+name+"</bdi></a>"); found != (name == want) {
				t.Errorf("searching %q finds %s: %t", text, name, found)
			}
		}
		if none := strings.Contains(page.body, "No keys match"); none != (want == "") || strings.Contains(page.body, "curl") {
			t.Errorf("searching %q says that no keys match: %t\n%s", text, none, page.body)
		}
	}
	v.get("/console/keys?owner=Globex&status=active&q=none").want(http.StatusOK, "No active keys of <bdi>Globex</bdi> match")
	v.get("/console/keys?owner=Globex&unused=1").want(http.StatusOK, "There are no unused keys of <bdi>Globex</bdi>")
	v.get("/console/keys?owner=Globe").want(http.StatusOK, "<bdi>Globe</bdi> has no keys", "curl")
	v.get("/console/keys?q="+deploy.Secret).want(http.StatusOK, "it was left out of the search")

	tenant := k.visitor()
	tenant.signIn(k.owner)
	tenant.get("/console/keys").want(http.StatusOK, `placeholder="Search by name or prefix"`)
	tenant.get("/console/keys?q=globex").want(http.StatusOK, "No keys match", "in their name or prefix")
}
