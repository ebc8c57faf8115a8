package handlers_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

// owner is an owner as the contract shows it.
type owner struct {
	Owner     string            `json:"owner"`
	Enabled   bool              `json:"enabled"`
	MaxKeys   int               `json:"max_keys"`
	RateLimit map[string]any    `json:"rate_limit"`
	Quota     map[string]any    `json:"quota"`
	State     map[string]any    `json:"quota_state"`
	Metadata  map[string]string `json:"metadata"`
	Keys      map[string]int    `json:"keys"`
	LastUsed  string            `json:"last_used_at"`
	Networks  []string          `json:"allowed_cidrs"`
}

func counts(active, expired, revoked, suspended int) map[string]int {
	return map[string]int{"active": active, "expired": expired, "revoked": revoked, "suspended": suspended}
}

func TestOwner(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const name = "a/b %41 ключ"
	k.get(k.admin, ownerPath(name)).refused(404, "OWNER_NOT_FOUND")
	k.patch(k.admin, ownerPath(name), fields{}).refused(404, "OWNER_NOT_FOUND")
	made := k.mustCreate(k.admin, fields{"name": "n", "owner": name, "scopes": []string{"keys:read", "keys:write"}})
	want := owner{Owner: name, Enabled: true, Metadata: map[string]string{}, Keys: counts(1, 0, 0, 0)}
	check := func(what string, r response) {
		k.Helper()
		if diff := cmp.Diff(want, decode[owner](r.want(200))); diff != "" {
			k.Errorf("%s: the owner differs (-want +got):\n%s", what, diff)
		}
	}
	check("from its first key on", k.get(k.admin, ownerPath(name)))
	check("as its own key sees it", k.get(made, ownerPath(name)))
	check("changed by nothing", k.patch(k.admin, ownerPath(name), fields{}))

	want.MaxKeys, want.Metadata = 2, map[string]string{"plan": "pro"}
	want.RateLimit = map[string]any{"limit": 9.0, "window_seconds": 60.0}
	want.Quota = map[string]any{"limit": 100.0, "period": "month", "starts_on": 1.0}
	want.Networks = []string{"192.0.2.0/24", "198.51.100.7/32"}
	want.State = map[string]any{"remaining": 100.0, "resets_at": "2026-12-01T00:00:00.000Z"}
	check("with everything", k.patch(k.admin, ownerPath(name), fields{
		"max_keys": 2, "metadata": fields{"plan": "pro"}, "rate_limit": fields{"limit": 9, "window_seconds": 60},
		"quota": fields{"limit": 100, "period": "month"}, "allowed_cidrs": []string{"192.0.2.0/24", "::ffff:198.51.100.7"},
	}))
	k.wantCode(k.ask(k.admin, made.Secret), addressNotAllowed)
	want.Networks = nil
	check("with all networks again", k.patch(k.admin, ownerPath(name), fields{"allowed_cidrs": nil}))
	k.askAt(k.admin, made.Secret, 7).want(200)
	k.must(k.verifier.Keys.Flush(k.Context()))
	want.State["remaining"], want.LastUsed = 93.0, k.clock.Now().Format("2006-01-02T15:04:05.000Z")
	check("after a call", k.get(k.admin, ownerPath(name)))
	k.revoke(k.admin, keyPath(k.mustCreate(k.admin, fields{"name": "r", "owner": name}).ID)).want(200)
	k.mustCreate(k.admin, fields{"name": "s", "owner": name, "enabled": false, "expires_at": k.in(time.Minute)})
	want.Keys = counts(1, 0, 2, 1)
	check("with more keys", k.get(k.admin, ownerPath(name)))
	want.MaxKeys, want.RateLimit, want.Quota, want.State, want.Metadata = 0, nil, nil, nil, map[string]string{}
	check("without everything", k.patch(k.admin, ownerPath(name), fields{
		"max_keys": nil, "metadata": fields{}, "rate_limit": nil, "quota": nil, "enabled": true,
	}))
	want = owner{Owner: "later", Enabled: false, Metadata: map[string]string{}, Keys: counts(0, 0, 0, 0)}
	check("before its first key", k.patch(k.admin, ownerPath("later"), fields{"enabled": false}))

	event := decode[struct{ Data []map[string]any }](k.get(k.admin, auditPath+"?items_per_page=1").want(200)).Data[0]
	if event["action"] != "update_owner" || event["owner"] != "later" || event["name"] != "later" ||
		event["key_id"] != (apikey.ID{}).String() || event["actor"] != k.admin.ID || fmt.Sprint(event["changes"]) != "map[enabled:map[from:true to:false]]" {
		k.Errorf("the event is %v", event)
	}
}

func TestOwnerRefusals(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	writer := k.add("team", "writer", apikey.ScopeRead, apikey.ScopeWrite)
	k.get(writer, ownersPath).refused(403, "INSUFFICIENT_SCOPE")
	k.patch(writer, ownerPath("team"), fields{"max_keys": 9}).refused(403, "INSUFFICIENT_SCOPE")
	for _, other := range []string{"admin", "nobody", "\x00"} {
		k.get(writer, ownerPath(other)).refused(403, "FORBIDDEN")
	}
	k.get(k.add("team", "none"), ownerPath("team")).refused(403, "INSUFFICIENT_SCOPE")
	k.get(key{}, ownerPath("team")).refused(401, "CREDENTIAL_MISSING")
	for _, name := range []string{"\x00", "\xff", ".", " a", strings.Repeat("a", 256), k.admin.Secret} {
		k.get(k.admin, ownerPath(name)).refused(404, "OWNER_NOT_FOUND")
		k.patch(k.admin, ownerPath(name), fields{"max_keys": 9}).invalid("owner")
	}
	k.patch(k.admin, ownerPath("admin"), fields{"enabled": false}).refused(403, "FORBIDDEN")
	for field, bad := range map[string][]any{
		"enabled":                   {nil, "true", 1},
		"max_keys":                  {0, -1, 1_000_000_001, 1.5, "1", true},
		"metadata":                  {nil, "a", fields{"": "b"}},
		"metadata.a":                {fields{"a": 1}},
		"rate_limit":                {1, "a", []int{1}},
		"rate_limit.limit":          {},
		"rate_limit.window_seconds": {fields{"limit": 1}},
		"quota":                     {1, "a"},
		"quota.period":              {fields{"limit": 1}, fields{"limit": 1, "period": "year"}},
		"allowed_cidrs":             {"192.0.2.0/24", []string{"192.0.2.7/24"}, []string{"::1", "::1/128"}, make([]string, 33)},
		"allowed":                   {1},
	} {
		for _, value := range bad {
			name, _, _ := strings.Cut(field, ".")
			k.patch(k.admin, ownerPath("team"), fields{name: value}).invalid(field)
		}
	}
	for _, networks := range [][]string{{"192.0.2.0/24"}, {"::/0"}} {
		answer := k.patch(k.admin, ownerPath("admin"), fields{"allowed_cidrs": networks}).refused(403, "FORBIDDEN")
		if !strings.Contains(answer.Message, "127.0.0.1") {
			k.Errorf("the refusal does not name the address: %s", answer.Message)
		}
	}
	k.patch(k.admin, ownerPath("admin"), fields{"allowed_cidrs": []string{"192.0.2.0/24", "127.0.0.1"}}).want(200)
	k.patch(k.admin, ownerPath("admin"), fields{"allowed_cidrs": []string{}}).want(200)
	if got := decode[owner](k.get(k.admin, ownerPath("team")).want(200)); !got.Enabled || got.MaxKeys != 0 {
		k.Errorf("after refused changes the owner is %+v", got)
	}
}

func TestSuspendOwner(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "n", "owner": "team", "scopes": []string{"keys:read", "keys:write", "a"}})
	for range 2 {
		k.wantDecision(made.Secret, "VALID", "a")
		k.forward(made.Secret, "?scope=a").want(200)
		k.get(made, keysPath).want(200)
		k.patch(k.admin, ownerPath("team"), fields{"enabled": false}).want(200)
		k.wantDecision(made.Secret, "DISABLED", "lacking")
		k.forward(made.Secret, "?scope=a").refused(401, "CREDENTIAL_DISABLED")
		if body := string(k.introspect(k.admin, made.Secret).want(200).raw); body != "{\"active\":false}\n" {
			k.Errorf("introspection answers %s", body)
		}
		k.get(made, keysPath).refused(401, "CREDENTIAL_DISABLED")
		k.mustCreate(k.admin, fields{"name": "during " + k.clock.Now().String(), "owner": "team"})
		k.patch(k.admin, ownerPath("team"), fields{"enabled": true}).want(200)
		k.clock.Advance(time.Second)
	}
}

// A key of a suspended owner is REVOKED in every answer, without revoked_at, and keeps what was set for itself.
func TestStatusOfSuspendedOwnersKeys(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for round := range 2 {
		owner := fmt.Sprint("team", round)
		made := k.mustCreate(k.admin, fields{"name": "n", "owner": owner, "scopes": []string{"a"}})
		path := keyPath(made.ID)
		k.get(k.admin, path).want(200)
		before := k.get(k.admin, path).want(200).key() // cached
		k.patch(k.admin, ownerPath(owner), fields{"enabled": false}).want(200)
		want := before
		want.Status = "REVOKED"
		verified := decode[struct{ Key key }](k.ask(k.admin, made.Secret).want(200)).Key
		list := k.get(k.admin, keysPath+"?items_per_page=1&owner="+owner).want(200).list()
		for what, got := range map[string]key{
			"get": k.get(k.admin, path).want(200).key(), "by name": k.get(k.admin, keyPath("n")+"?owner="+owner).want(200).key(),
			"verify": verified, "patch": k.patch(k.admin, path, fields{}).want(200).key(), "a list": list.Data[0],
			"rename":        k.patch(k.admin, path, fields{"name": "n"}).want(200).key(),
			"a second time": k.get(k.admin, path).want(200).key(),
		} {
			if diff := cmp.Diff(want, got); diff != "" {
				k.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		k.wantFiltered(k.admin, "owner="+owner+"&status=REVOKED", 2, []string{"n"})
		k.wantFiltered(k.admin, "owner="+owner+"&status=ACTIVE", 2, []string{})
		k.wantFiltered(k.admin, "owner="+owner+"&enabled=true", 2, []string{"n"})
		k.wantFiltered(k.admin, "owner="+owner+"&enabled=false", 2, []string{})
		summary := decode[map[string]int](k.get(k.admin, "/v1/summary?owner="+owner).want(200))
		if summary["active"] != 0 || summary["revoked"] != 1 || summary["suspended"] != 1 {
			k.Errorf("the summary is %v", summary)
		}
		// What is made or prolonged meanwhile is no different; a key keeps what was set for itself.
		during := k.create(k.admin, fields{"name": "during", "owner": owner}).want(201).key()
		if during.Status != "REVOKED" || !during.Enabled {
			k.Errorf("a key that was made meanwhile is %+v", during)
		}
		if rotated := k.rotate(k.admin, keyPath(during.ID), nil).want(200).key(); rotated.Status != "REVOKED" {
			k.Errorf("a key that was rotated meanwhile is %+v", rotated)
		}
		if past := k.pastOf(k.admin, path, k.clock.Now()).past(); past.Key.Status != "ACTIVE" || !past.Consistent {
			k.Errorf("the history is about the key alone, and says %+v", past)
		}
		k.patch(k.admin, path, fields{"enabled": false}).want(200)
		k.patch(k.admin, ownerPath(owner), fields{"enabled": true}).want(200)
		if alone := k.get(k.admin, path).want(200).key(); alone.Status != "REVOKED" || alone.Enabled {
			k.Errorf("suspended itself, the key is %+v", alone)
		}
		if back := k.get(k.admin, keyPath(during.ID)).want(200).key(); back.Status != "ACTIVE" {
			k.Errorf("after the suspension a key is %+v", back)
		}
		k.revoke(k.admin, keyPath(during.ID)).want(200)
		if after := k.patch(k.admin, path, fields{"enabled": true}).want(200).key(); !cmp.Equal(before, after) {
			k.Errorf("after both suspensions the key is %+v", after)
		}
	}
}

func TestMaxKeys(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	writer := k.add("team", "writer", apikey.ScopeRead, apikey.ScopeWrite)
	k.patch(k.admin, ownerPath("team"), fields{"max_keys": 2}).want(200)
	second := k.mustCreate(writer, fields{"name": "2"})
	for _, by := range []key{writer, k.admin} {
		k.create(by, fields{"name": "3", "owner": "team"}).refused(409, "TOO_MANY_KEYS")
	}
	k.rotate(writer, keyPath(second.ID), nil).want(200)
	k.clock.Advance(2 * time.Hour)
	k.mustCreate(writer, fields{"name": "3"}) // the second has expired
	k.patch(writer, keyPath(second.ID), fields{"expires_at": k.in(time.Hour)}).refused(409, "TOO_MANY_KEYS")
	k.create(writer, fields{"name": "4"}).refused(409, "TOO_MANY_KEYS")
	k.revoke(writer, keyPath("3")).want(200)
	k.mustCreate(writer, fields{"name": "4"})
}

func TestListOwners(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	long := strings.Repeat("🙂", 255)
	for _, name := range []string{"b", "a", long, "Ä"} {
		k.mustCreate(k.admin, fields{"name": "n", "owner": name})
	}
	k.patch(k.admin, ownerPath("c"), fields{"enabled": false}).want(200)
	for query, want := range map[string][]string{
		"":                       {"a", "admin", "b", "c", "Ä", long},
		"search=Ad":              {"admin"},
		"search=%C3%A4":          {"Ä"},
		"enabled=false":          {"c"},
		"enabled=true":           {"a", "admin", "b", "Ä", long},
		"enabled=true&search=B":  {"b"},
		"enabled=false&search=B": nil,
	} {
		for _, size := range []int{1, 2, 100} {
			var got []string
			for cursor := ""; ; {
				page := decode[struct {
					Data []owner `json:"data"`
					Next string  `json:"next_cursor"`
				}](k.get(k.admin, fmt.Sprintf("%s?%s&items_per_page=%d%s", ownersPath, query, size, cursor)).want(200))
				for _, o := range page.Data {
					got = append(got, o.Owner)
				}
				if page.Next == "" {
					break
				}
				cursor = "&cursor=" + url.QueryEscape(page.Next)
				if size == 1 && query == "" && len(got) == 1 {
					k.get(k.admin, ownersPath+"?enabled=true"+cursor).invalid("cursor")
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				k.Errorf("%q by %d differs (-want +got):\n%s", query, size, diff)
			}
		}
	}
	for query, field := range map[string]string{
		"search=": "search", "search=%00": "search", "search=" + k.admin.Secret: "search", "enabled=yes": "enabled",
		"cursor=": "cursor", "cursor=AAAA": "cursor", "cursor=!": "cursor", "items_per_page=0": "items_per_page",
		"items_per_page=101": "items_per_page", "page=1": "page", "owner=a": "owner",
	} {
		k.get(k.admin, ownersPath+"?"+query).invalid(field)
	}
}

// What is left of an owner's limits shows in answers and headers.
func TestOwnersLimitsShow(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	a := k.mustCreate(k.admin, fields{"name": "a", "owner": "team", "quota": fields{"limit": 5, "period": "day"}})
	b := k.mustCreate(k.admin, fields{"name": "b", "owner": "team"})
	k.patch(k.admin, ownerPath("team"), fields{
		"quota": fields{"limit": 3, "period": "day"}, "rate_limit": fields{"limit": 9, "window_seconds": 60},
	}).want(200)
	left := func(r response) int {
		return decode[struct {
			Quota struct {
				Remaining int `json:"remaining"`
			} `json:"quota"`
		}](r.want(200)).Quota.Remaining
	}
	if got := left(k.ask(k.admin, a.Secret)); got != 2 {
		k.Errorf("%d units are left, want the owner's 2", got)
	}
	r := k.forward(b.Secret, "").want(200)
	if got := r.header.Get("RateLimit"); got != `"owner";r=7;t=14, "owner-quota";r=1;t=43200` {
		k.Errorf("RateLimit: %s", got)
	}
	if got := r.header.Get("RateLimit-Policy"); got != `"owner";q=9;w=60, "owner-quota";q=3` {
		k.Errorf("RateLimit-Policy: %s", got)
	}
	k.wantDecision(b.Secret, "VALID")
	k.wantDecision(b.Secret, "QUOTA_EXCEEDED")
	refused := k.forward(a.Secret, "")
	refused.refused(403, "QUOTA_EXCEEDED")
	if text := string(refused.raw); !strings.Contains(text, "the API key's owner has 0 units left of its quota of 3 a day") {
		k.Errorf("the answer is %s", text)
	}
	if got := refused.header.Get("RateLimit"); got != `"quota";r=4;t=43200, "owner-quota";r=0;t=43200` {
		k.Errorf("RateLimit: %s", got)
	}
}
