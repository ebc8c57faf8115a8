package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/gen"
)

// next returns the cursor in a list's answer, or "".
func (r response) next() string {
	r.k.Helper()
	var list struct {
		Pagination struct {
			Next string `json:"next_cursor"`
		} `json:"pagination"`
	}
	r.k.must(json.Unmarshal(r.raw, &list))
	return list.Pagination.Next
}

// follow reads a list by its cursors. It calls between before each request except the first.
func (k *kit) follow(by key, query string, between func()) []string {
	k.Helper()
	var names []string
	answer := k.get(by, keysPath+"?"+query).want(200)
	for {
		for _, found := range answer.list().Data {
			names = append(names, found.Name)
		}
		cursor := answer.next()
		if cursor == "" {
			return names
		}
		between()
		answer = k.get(by, keysPath+"?"+query+"&cursor="+cursor).want(200)
	}
}

func TestCursors(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	reader := k.add("team", "reader", apikey.ScopeRead)
	for i := range 7 {
		k.mustCreate(k.admin, fields{"name": fmt.Sprint("key ", i), "owner": "team"})
		k.mustCreate(k.admin, fields{"name": fmt.Sprint("other ", i), "owner": "other"})
	}
	const team = "key 6, key 5, key 4, key 3, key 2, key 1, key 0, reader"
	for _, tt := range []struct {
		by          key
		query, want string
	}{
		{reader, "", team},
		{k.admin, "owner=team", team},
		{k.admin, "name_contains=3", "other 3, key 3"},
		{reader, "search=KEY+&status=ACTIVE", strings.TrimSuffix(team, ", reader")},
		{k.admin, "status=EXPIRED", ""},
	} {
		want := strings.FieldsFunc(tt.want, func(r rune) bool { return r == ',' })
		for i := range want {
			want[i] = strings.TrimSpace(want[i])
		}
		for size := 1; size <= 9; size++ {
			answers := 0
			got := k.follow(tt.by, fmt.Sprintf("%s&items_per_page=%d", tt.query, size), func() { answers++ })
			if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
				k.Errorf("%s by %d differs (-want +got):\n%s", tt.query, size, diff)
			}
			if most := max(len(want)-1, 0) / size; answers != most {
				k.Errorf("%s by %d: %d cursors, want %d", tt.query, size, answers, most)
			}
		}
	}

	// Every page has a next cursor, and pages reached by a cursor have no number.
	third := k.get(reader, keysPath+"?items_per_page=2&page=3").want(200)
	fourth := k.get(reader, keysPath+"?items_per_page=1&cursor="+third.next()).want(200)
	if diff := cmp.Diff(pagination{0, 0, 1}, fourth.list().Pagination); diff != "" {
		k.Errorf("the pages differ (-want +got):\n%s", diff)
	}
	if name := fourth.list().Data[0].Name; name != "key 0" {
		k.Errorf("after the third page comes %q", name)
	}
	// An admin of all owners sees the same as the owner when asking for that owner.
	k.get(k.admin, keysPath+"?owner=team&cursor="+third.next()).want(200)
}

func TestBadCursors(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.mustCreate(k.admin, nil)
	cursor := k.get(k.admin, keysPath+"?items_per_page=1").want(200).next()
	other := map[bool]string{true: "B", false: "A"}[cursor[31] == 'A']
	for name, bad := range map[string]string{
		"empty": "", "cut short": cursor[:31], "longer": cursor + "A", "with a line break": cursor[:16] + "%0A" + cursor[16:],
		"with a line break behind": cursor + "%0D%0A", "another digest": cursor[:31] + other, "padded": cursor + "=",
		"without an id": strings.Repeat("A", 22) + cursor[22:], "a secret": k.admin.Secret, "a number": "2", "an id": k.admin.ID,
		"of other letters": strings.Repeat("%C3%A9", 32), "NUL": "%00", "spaces around": "%20" + cursor, "too long": strings.Repeat("A", 1e5),
	} {
		k.Run(name, func(k *kit) { k.get(k.admin, keysPath+"?cursor="+bad).invalid("cursor") })
	}
	k.get(k.admin, keysPath+"?cursor="+cursor+"&cursor="+cursor).invalid("cursor")
	k.get(k.admin, keysPath+"?page=1&cursor="+cursor).invalid("page")
	k.get(k.admin, keyPath("admin")+"?cursor="+cursor).invalid("cursor")
	k.get(k.admin, keysPath+"?cursor="+cursor).want(200)
}

// TestCursorsBelongToTheirFilters tries every parameter in the contract.
func TestCursorsBelongToTheirFilters(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	values := map[string][]string{
		"owner": {"admin", "team"}, "status": {"ACTIVE", "EXPIRED"}, "name_contains": {"key", "Key"}, "search": {"key", "ke"}, "scope": {"keys:read", "keys:write"},
		"metadata":          {"plan=pro", "plan=Pro"},
		"expires_before":    {"2030-01-31T12:00:00Z", "2030-01-31T12:00:00.001Z"},
		"last_used_before":  {"2030-01-31T12:00:00Z", "2030-01-31T12:00:00.001Z"},
		"rotating":          {"false", "true"},
		"foreign":           {"false", "true"},
		"sessions":          {"false", "true"},
		"enabled":           {"false", "true"},
		"revocation_reason": {"policy", "superseded"},
	}
	contract, err := gen.GetSpec()
	k.must(err)
	for _, p := range contract.Paths.Value("/v1/api-keys").Get.Parameters {
		if name := p.Value.Name; values[name] == nil && !slices.Contains([]string{"cursor", "page", "items_per_page"}, name) {
			k.Errorf("is a cursor bound to %s?", name)
		}
	}
	marks := fields{"plan": "pro", "region": "eu"}
	k.mustCreate(k.admin, fields{"name": "a key", "metadata": marks})
	k.mustCreate(k.admin, fields{"name": "another key", "metadata": marks})
	for i := range 2 {
		k.importOne(fields{"name": fmt.Sprint("foreign ", i)})
		k.signIn("alice", "keys:read")
		k.mustCreate(k.admin, fields{"name": fmt.Sprint("suspended ", i), "enabled": false})
		for _, reason := range values["revocation_reason"] {
			gone := k.mustCreate(k.admin, fields{"name": "revoked"})
			k.revoke(k.admin, keyPath(gone.ID)+"?reason="+reason).want(200)
		}
	}
	plain := k.get(k.admin, keysPath+"?items_per_page=1").want(200).next()
	for name, value := range values {
		query := name + "=" + url.QueryEscape(value[0])
		cursor := k.get(k.admin, keysPath+"?items_per_page=1&"+query).want(200).next()
		for _, tt := range []struct{ query, cursor string }{
			{"", cursor}, {query, plain}, {name + "=" + url.QueryEscape(value[1]), cursor},
		} {
			refused := k.get(k.admin, keysPath+"?"+tt.query+"&cursor="+tt.cursor)
			refused.invalid("cursor")
			if !strings.Contains(refused.failure().Message, "other filters") {
				k.Errorf("%s: %s", tt.query, refused.raw)
			}
		}
		k.get(k.admin, keysPath+"?items_per_page=3&"+query+"&cursor="+cursor).want(200)
	}

	const plan, region = "&metadata=plan=pro", "&metadata=region=eu"
	cursor := k.get(k.admin, keysPath+"?items_per_page=1"+plan+region).want(200).next()
	for _, same := range []string{plan + region, region + plan, region + plan + region} {
		k.get(k.admin, keysPath+"?cursor="+cursor+same).want(200)
	}
	for _, other := range []string{plan, region, plan + "&metadata=region=e", plan + region + "&metadata=a=b", "&metadata=plan=pro,region=eu"} {
		k.get(k.admin, keysPath+"?cursor="+cursor+other).invalid("cursor")
	}

	// The same time in another zone is the same filter, and so is the same owner for another caller.
	cursor = k.get(k.admin, keysPath+"?items_per_page=1&expires_before=2030-01-31T12:00:00Z").want(200).next()
	k.get(k.admin, keysPath+"?cursor="+cursor+"&expires_before=2030-01-31T13:00:00%2B01:00").want(200)
	reader := k.add("admin", "reader", apikey.ScopeRead)
	stranger := k.add("team", "reader", apikey.ScopeRead)
	cursor = k.get(reader, keysPath+"?items_per_page=1").want(200).next()
	k.get(k.admin, keysPath+"?owner=admin&cursor="+cursor).want(200)
	k.get(k.admin, keysPath+"?cursor="+cursor).invalid("cursor")
	k.get(stranger, keysPath+"?cursor="+cursor).invalid("cursor")
	k.get(stranger, keysPath+"?cursor="+plain).invalid("cursor")
	k.get(stranger, keysPath+"?owner=admin&cursor="+cursor).refused(403, "FORBIDDEN")
}

// TestCursorsWhileKeysChange follows a list while its keys are revoked, created and expire.
func TestCursorsWhileKeysChange(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	add := func(n int) (names []string) {
		for i := range n {
			name := fmt.Sprintf("%s %d", k.clock.Now().Format(time.TimeOnly), i)
			k.mustCreate(k.admin, fields{"name": name, "owner": "team"})
			names = append([]string{name}, names...)
		}
		return names
	}
	const query = "owner=team&status=ACTIVE&items_per_page=3"
	list := func() []key { return k.get(k.admin, keysPath+"?"+query).want(200).list().Data }

	want := add(20)
	answers := 0
	got := k.follow(k.admin, query, func() {
		for _, found := range list() { // the newest, which the walk has passed
			k.revoke(k.admin, keyPath(found.ID)).want(200)
		}
		if answers++; answers%2 == 0 {
			k.clock.Advance(time.Second)
			add(2)
		}
	})
	if !slices.Equal(got, want) {
		k.Errorf("of %d keys that were revoked while they were listed %d were returned: %q", len(want), len(got), got)
	}

	// Each request uses the status at its own time: keys that expired before are not returned.
	k.clock.Advance(2 * time.Hour)
	want = add(5)
	got = k.follow(k.admin, query, func() { k.clock.Advance(2 * time.Hour) })
	if !slices.Equal(got, want[:3]) {
		k.Errorf("keys that expire after the first answer are returned: %q", got)
	}
}
