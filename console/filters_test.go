package console_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"apikeyd/client"
)

// removable returns the active filters that a page shows, and the address without each.
func removable(a reply) map[string]string {
	a.Helper()
	shown := map[string]string{}
	for n := range parse(a.T, a.body).Descendants() {
		if n.Data == "nav" && strings.Contains(attr(n, "class"), "removable") {
			for link := range n.Descendants() {
				if link.Data == "a" {
					shown[strings.Join(strings.Fields(textOf(link)), " ")] = attr(link, "href")
				}
			}
		}
	}
	return shown
}

// textOf returns the text in an element.
func textOf(n *html.Node) (text string) {
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			text += d.Data
		}
	}
	return text
}

// Each active filter is a link to the first page of the list without it, which keeps the others and the order.
func TestActiveFilters(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.adminVisitor()
	const remove = "Remove the filter: "
	for query, want := range map[string]map[string]string{
		"":         {},
		"q=x":      {},
		"unused=1": {},
		"scope=a%26b%3Aread&page=2": {
			remove + "scope a&b:read ×": "/console/keys",
		},
		"q=x&status=active&sort=oldest": {
			"Clear all": "/console/keys?sort=oldest",
		},
		"owner=a+%26+b&page=3&q=x&scope=r&sort=oldest&status=active": {
			remove + "owner a & b ×": "/console/keys?q=x&scope=r&sort=oldest&status=active",
			remove + "scope r ×":     "/console/keys?owner=a+%26+b&q=x&sort=oldest&status=active",
			"Clear all":              "/console/keys?sort=oldest",
			"About the owner":        "/console/owners/owner?owner=a+%26+b",
		},
		"metadata=a%3Db%3Dc": {
			remove + "a=b=c ×": "/console/keys",
		},
		"metadata=tier%3D&metadata=plan%3Dpro&metadata=tier%3D1&metadata=none&metadata=%3Dnone&metadata=": {
			remove + "plan=pro ×": "/console/keys?metadata=tier%3D1",
			remove + "tier=1 ×":   "/console/keys?metadata=plan%3Dpro",
			"Clear all":           "/console/keys",
		},
	} {
		if got := removable(v.get("/console/keys?" + query).want(http.StatusOK)); !maps.Equal(got, want) {
			t.Errorf("%q shows the filters %q, want %q", query, got, want)
		}
	}
	tenant := k.visitor()
	tenant.signIn(k.owner)
	page := tenant.get("/console/keys?owner=acme&scope=x").want(http.StatusOK, `type="hidden" name="owner" value="acme"`)
	page.lacks("About the owner")
}

// The page's links and forms, and the way back after an action, keep all filters.
func TestFiltersAreKept(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	var last client.CreatedKey
	for i := range 60 {
		last = k.create("acme", fmt.Sprintf("key %02d", i), map[string]string{"plan": "pro"}, "many")
	}
	v := k.adminVisitor()
	filters := url.Values{"owner": {"acme"}, "q": {"key"}, "scope": {"many"}, "metadata": {"plan=pro"}, "status": {"active"}, "sort": {"oldest"}}
	page := v.get("/console/keys?page=2&"+filters.Encode()).want(http.StatusOK, "60 keys, oldest first")
	at := func(more string) string { return "/console/keys?" + more + filters.Encode() }
	links, fields := map[string]bool{}, url.Values{}
	for n := range parse(t, page.body).Descendants() {
		switch n.Data {
		case "a":
			to, err := url.Parse(attr(n, "href"))
			k.must(err)
			links[to.Path+"?"+to.Query().Encode()] = true
		case "input":
			fields.Add(attr(n, "name"), attr(n, "value"))
		}
	}
	filters.Set("page", "3")
	want := []string{at("")}
	filters.Del("page")
	want = append(want, at(""))
	filters.Del("sort")
	want = append(want, at(""))
	filters.Set("sort", "oldest")
	for _, link := range want {
		if !links[link] {
			t.Errorf("no link leads to %s", link)
		}
	}
	if got := fields["metadata"]; !slices.Equal(got, []string{"plan=pro", ""}) { // what is typed comes last, so that it counts
		t.Errorf("the form has the entries %q", got)
	}
	for name, values := range filters {
		if fields.Get(name) != values[0] {
			t.Errorf("the form has %s=%q, want %q", name, fields.Get(name), values[0])
		}
	}
	filters.Set("page", "2")
	back := at("")
	if fields.Get("return") != back {
		t.Errorf("revoking leads back to %q, want %q", fields.Get("return"), back)
	}
	v.post("/console/keys/revoke", url.Values{"id": {last.ID}, "return": {back}}).goes(back)
}

// A list without keys names the filters in one sentence and leads to the list without them.
func TestEmptyResults(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	v := k.adminVisitor()
	for query, want := range map[string]string{
		"q=nil": "No keys match nil in their name, owner or prefix. Show all keys",
		"q=nil&owner=acme&scope=no&status=expired": "No expired keys of acme with the scope no match nil in their name, owner or prefix. Remove a filter above, or show all keys.",
		"scope=no":          "There are no keys with the scope no. Show all keys",
		"scope=no&unused=1": "There are no unused keys with the scope no. Remove a filter above, or show all keys.",
		"metadata=a%3Db&metadata=c%3D&scope=no&owner=acme": "There are no keys of acme with the scope no and the metadata a=b and the metadata c=. Remove a filter above, or show all keys.",
		"sort=oldest&q=nil":   "No keys match nil in their name, owner or prefix. Show all keys",
		"owner=acme&unused=1": "There are no unused keys of acme. Remove a filter above, or show all keys.",
	} {
		var said string
		for n := range parse(t, v.get("/console/keys?"+query).want(http.StatusOK).body).Descendants() {
			if attr(n, "class") == "empty" {
				said = strings.Join(strings.Fields(textOf(n)), " ")
			}
		}
		if said != want {
			t.Errorf("%q says %q, want %q", query, said, want)
		}
	}
}

// There is one search field. The others are folded, and suggest what is in use.
func TestFilterFields(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	k.add("globex", "ci", "reports:read")
	for _, reader := range []struct {
		of     key
		fields string
		lists  string
	}{
		{k.admin, "q [owner] [scope] [metadata]", "owners: acme admin globex; scopes: datasets:read reports:read; "},
		{k.owner, "q [scope] [metadata]", "scopes: datasets:read; "},
	} {
		v := k.visitor()
		v.signIn(reader.of)
		var fields []string
		var lists string
		folded := map[*html.Node]bool{}
		for n := range parse(t, v.get("/console/keys").want(http.StatusOK).body).Descendants() {
			folded[n] = n.Data == "details" || folded[n.Parent]
			name := attr(n, "name")
			switch {
			case n.Data == "datalist":
				lists += attr(n, "id") + ":"
				for option := range n.ChildNodes() {
					lists += " " + attr(option, "value")
				}
				lists += "; "
			case n.Data != "input" || attr(n, "type") == "hidden" || attr(n, "type") == "checkbox":
			case folded[n]:
				fields = append(fields, "["+name+"]")
			default:
				fields = append(fields, name)
			}
		}
		if got := strings.Join(fields, " "); got != reader.fields || lists != reader.lists {
			t.Errorf("%s: the fields are %q with %q, want %q with %q", reader.of.Owner, got, lists, reader.fields, reader.lists)
		}
	}
}

// create creates a key with metadata.
func (k *kit) create(owner, name string, metadata map[string]string, scopes ...string) client.CreatedKey {
	k.Helper()
	made, err := k.as(k.admin).ForOwner(owner).Create(k.Context(), client.NewKey{
		Name: name, ExpiresAt: time.Now().Add(time.Hour), Metadata: metadata, Scopes: &scopes,
	})
	k.must(err)
	return made
}

// The list is filtered by all entries of metadata together. The page of a key leads to the list of each entry.
func TestMetadataFilter(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	const long = "two & lines\nof text "
	first := k.create("acme", "first", map[string]string{"plan": "pro", "note": long, "a=b": "c"})
	second := k.create("globex", "second", map[string]string{"plan": "pro", "empty": ""})
	v := k.adminVisitor()
	for query, want := range map[string]string{
		"metadata=plan%3Dpro":                   "first second",
		"metadata=plan%3Dpro&metadata=empty%3D": "second",
		"metadata=plan%3Dpro&owner=acme":        "first",
		"metadata=plan%3DPRO":                   "",
		"metadata=plan%3D":                      "",
		"metadata=note%3D" + url.QueryEscape(strings.ReplaceAll(long, "\n", "\r\n")): "first", // as forms send it
		"metadata=" + strings.Repeat("x", 50) + "%3D":                                "",      // no key can have it
	} {
		page := v.get("/console/keys?" + query).want(http.StatusOK)
		for _, one := range []client.CreatedKey{first, second} {
			if shown := strings.Contains(page.body, "/console/keys/"+one.ID+`"`); shown != slices.Contains(strings.Fields(want), one.Name) {
				t.Errorf("%q: %s is shown: %t", query, one.Name, shown)
			}
		}
	}
	v.get("/console/keys?metadata=plan").want(http.StatusOK, "<bdi>plan</bdi></q> was left out", `name="metadata" maxlength="541" value="plan"`, "first", "second")
	v.get("/console/keys?metadata=plan%3D" + k.owner.Secret).want(http.StatusOK).lacks(k.owner.Secret)

	links := map[string]string{}
	for n := range parse(t, v.get("/console/keys/"+first.ID).want(http.StatusOK).body).Descendants() {
		if n.Data == "a" && attr(n, "title") == "All keys with this entry" {
			links[textOf(n)] = attr(n, "href")
		}
	}
	if len(links) != 2 { // no list is filtered by the name a=b
		t.Errorf("the key's page links to %q", links)
	}
	for text, link := range links {
		v.get(link).want(http.StatusOK, "/console/keys/"+first.ID+`"`)
		t.Log(text, link)
	}
}
