package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"apikeyd/apikey"
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

// The list says how many keys match, and reads from either end: each key is on one page, in order.
func TestOrderAndTotal(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	const many = 57 // and the owner's own
	for i := range many {
		k.add("acme", fmt.Sprintf("key %02d", i))
	}
	v := k.visitor()
	v.signIn(k.owner)
	names := regexp.MustCompile(`<bdi>(key \d\d)</bdi></a></th>`)
	for query, total := range map[string]string{"": "58 keys", "q=key": "51 to 75 keys"} {
		for _, oldest := range []bool{false, true} {
			var seen []string
			for page := 1; page <= 3; page++ {
				form := url.Values{"page": {strconv.Itoa(page)}}
				if query != "" {
					form.Set("q", "key")
				}
				says := total + ", newest first"
				switch {
				case oldest && query != "":
					says = "57 keys, oldest first"
				case oldest:
					says = total + ", oldest first"
				case page == 3 && query != "":
					says = "57 keys, newest first"
				}
				if oldest {
					form.Set("sort", "oldest")
				}
				a := v.get("/console/keys?"+form.Encode()).want(http.StatusOK, says)
				for _, match := range names.FindAllStringSubmatch(a.body, -1) {
					seen = append(seen, match[1])
				}
			}
			inOrder := slices.Sorted(slices.Values(seen))
			if !oldest {
				slices.Reverse(inOrder)
			}
			if len(seen) != many || !slices.Equal(seen, inOrder) {
				t.Errorf("%q, oldest first %t: the keys are %q", query, oldest, seen)
			}
		}
	}
	v.get("/console/keys?q=key+07").want(http.StatusOK, `<p class="total">1 key</p>`)
	v.get("/console/keys?sort=oldest&page=4").want(http.StatusOK, "There are only 3 pages", "sort=oldest")
	v.get("/console/keys?sort=oldest&q=nothing").want(http.StatusOK, "No keys match")
	v.get("/console/keys?sort=oldest&page=2").want(http.StatusOK, `name="sort" value="oldest"`, "← Older", "Newer →")
}

// A row suspends and resumes its key, and leads back to the same list.
func TestRowsAct(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	spare := k.spare()
	v := k.visitor()
	v.signIn(k.owner)
	list := "/console/keys?q=spare"
	v.get(list).want(http.StatusOK, pathOf(spare.ID, "edit"), pathOf(spare.ID, "rotate"), pathOf(spare.ID, "revoke"), `name="return" value="/console/keys?q=spare"`)
	v.post(pathOf(spare.ID, "suspend"), url.Values{"return": {list}}).goes(list)
	v.get(list).want(http.StatusOK, "was suspended", pathOf(spare.ID, "resume"))
	v.post(pathOf(spare.ID, "resume"), url.Values{"return": {"https://evil.example/"}}).goes("/console")
	if !k.valid(spare.Secret) {
		t.Error("it is still suspended")
	}
	if own := v.get("/console/keys?q=own").body; strings.Contains(own, pathOf(k.owner.ID, "suspend")) {
		t.Error("the row offers to suspend the reader's own key")
	}
	reader := k.visitor()
	reader.signIn(k.add("acme", "reader", apikey.ScopeRead))
	reader.get(list).want(http.StatusOK).lacks("Actions for")
}

// The list is filtered by a scope as a whole, together with the other filters, on all pages.
func TestScopeFilter(t *testing.T) {
	t.Parallel()
	k := newKit(t, options{})
	reader, writer := k.add("acme", "reader", "a&b:read"), k.add("acme", "writer", "a&b:read", "a&b:write")
	k.add("acme", "other", "a&b:read-all")
	for i := range 30 {
		k.add("globex", fmt.Sprintf("many %02d", i), "many")
	}
	v := k.adminVisitor()
	for query, want := range map[string]string{"scope=a%26b%3Aread": "reader writer", "scope=+a%26b%3Aread+&q=WRI": "writer", "scope=a%26b%3Awrite&status=active": "writer",
		"scope=a": "", "scope=a+b": "", "scope=a%26b%3Aread&owner=globex": ""} {
		body := v.get("/console/keys?" + query).want(http.StatusOK).body
		for _, one := range []key{reader, writer} {
			if shown := strings.Contains(body, pathOf(one.ID)); shown != slices.Contains(strings.Fields(want), one.Name) {
				t.Errorf("%q: %s is shown: %t", query, one.Name, shown)
			}
		}
		if want == "" && !strings.Contains(body, "with the scope <code>a") {
			t.Errorf("%q: the page does not say what it looked for", query)
		}
	}
	v.get("/console/keys?scope=many").want(http.StatusOK, "26 to 50 keys", `href="/console/keys?page=2&amp;scope=many"`, `value="many"`)
	v.get("/console/keys?scope=many&page=2").want(http.StatusOK, "30 keys")
	v.get("/console/keys?scope=" + k.owner.Secret).want(http.StatusOK).lacks(k.owner.Secret)
	v.get(pathOf(writer.ID)).want(http.StatusOK, `href="/console/keys?scope=a%26b%3awrite"`)
}
