package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// matched sends a change of a key with If-Match.
func (k *kit) matched(method, path, body string, ifMatch ...string) response {
	k.Helper()
	return k.do(request{method: method, path: path, key: k.admin.Secret, body: body, header: http.Header{"If-Match": ifMatch}})
}

// The ETag changes with each change of the key, and with nothing else.
func TestETag(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	created := k.create(k.admin, fields{"name": "a", "expires_at": k.in(time.Hour), "metadata": fields{"a": "b"}}).want(201)
	made := created.key()
	path := keyPath(made.ID)
	tag := func(r response) string {
		k.Helper()
		got := r.header.Get("ETag")
		if !strings.HasPrefix(got, `"`) || !strings.HasSuffix(got, `"`) || len(got) < 20 {
			k.Errorf("%s: the ETag is %q", r.request, got)
		}
		return got
	}
	seen := map[string]string{tag(created): "creation"}
	current := tag(created)
	same := func(what string) {
		k.Helper()
		if got := tag(k.get(k.admin, path).want(200)); got != current {
			k.Errorf("%s changed the ETag", what)
		}
	}
	same("reading")
	k.ask(k.admin, made.Secret).want(200)
	k.must(k.verifier.Keys.Flush(k.Context()))
	if k.get(k.admin, path).want(200).decoded()["last_used_at"] == nil {
		k.Fatal("the use was not recorded")
	}
	same("a use")
	k.patch(k.admin, ownerPath(made.Owner), fields{"metadata": fields{"x": "y"}}).want(200)
	same("a change of the owner")
	k.patch(k.admin, path, fields{}).want(200)
	same("an empty change")
	for _, change := range []fields{
		{"name": "b"}, {"metadata": fields{"a": "c"}}, {"metadata": fields{}}, {"scopes": []string{"x"}}, {"enabled": false}, {"enabled": true},
		{"expires_at": k.in(2 * time.Hour)}, {"allowed_cidrs": []string{"127.0.0.0/8"}}, {"rate_limit": fields{"limit": 1, "window_seconds": 1}},
		{"quota": fields{"limit": 5, "period": "day"}}, {"observe_cidrs": []string{"127.0.0.0/8"}},
	} {
		current = tag(k.patch(k.admin, path, change).want(200))
		if what, twice := seen[current]; twice && fmt.Sprint(change) != fmt.Sprint(fields{"enabled": true}) {
			k.Errorf("%v has the ETag of %s", change, what)
		}
		seen[current] = fmt.Sprint(change)
		same("reading")
	}
	current = tag(k.rotate(k.admin, path, fields{"grace_seconds": 60}).want(200))
	k.clock.Advance(2 * time.Minute)
	same("the end of a grace")
	k.clock.Advance(3 * time.Hour)
	same("the end of the key")
	if _, twice := seen[current]; twice {
		k.Error("a rotation left the ETag")
	}
	if got := tag(k.revoke(k.admin, path).want(200)); got == current {
		k.Error("a revocation left the ETag")
	}
}

func (r response) decoded() (body map[string]any) {
	r.k.Helper()
	r.k.must(json.Unmarshal(r.raw, &body))
	return body
}

// A change with the ETag of another state is refused and changes nothing.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.clock.Advance(time.Second)
	stale := k.create(k.admin, fields{"name": "a"}).want(201)
	path, old := keyPath(stale.key().ID), stale.header.Get("ETag")
	current := k.patch(k.admin, path, fields{"scopes": []string{"x"}}).want(200).header.Get("ETag")
	for name, tt := range map[string]struct {
		ifMatch []string
		status  int
	}{
		"stale":                      {[]string{old}, 412},
		"another key's":              {[]string{k.get(k.admin, keyPath(k.admin.ID)).header.Get("ETag")}, 412},
		"weak":                       {[]string{"W/" + current}, 412},
		"an empty one":               {[]string{`""`}, 412},
		"without the last character": {[]string{current[:len(current)-2] + `"`}, 412},
		"several stale ones":         {[]string{old + `, "x",W/"y"`}, 412},
		"one with a comma inside":    {[]string{`"a,` + strings.Trim(current, `"`) + `"`}, 412},
		"not quoted":                 {[]string{strings.Trim(current, `"`)}, 400},
		"half quoted":                {[]string{`"abc`}, 400},
		"nothing":                    {[]string{""}, 400},
		"commas only":                {[]string{", ,"}, 400},
		"a star among others":        {[]string{`*, "x"`}, 400},
		"without a comma":            {[]string{`"a" "b"`}, 400},
		"two headers":                {[]string{current, current}, 400},
	} {
		for _, change := range []struct{ method, path, body string }{
			{"PATCH", path, `{"name":"b"}`}, {"PATCH", path, `{}`}, {"POST", path + "/rotate", `{}`}, {"DELETE", path, ""},
		} {
			code := map[int]string{412: "KEY_CHANGED", 400: "INVALID_REQUEST"}[tt.status]
			problem := k.matched(change.method, change.path, change.body, tt.ifMatch...).refused(tt.status, code)
			if tt.status == 400 && name != "two headers" && !strings.Contains(problem.Message, "If-Match") {
				k.Errorf("%s: %s %s says %s", name, change.method, change.path, problem.Message)
			}
		}
	}
	if got := k.get(k.admin, path).want(200).header.Get("ETag"); got != current {
		k.Error("a refused change was made")
	}
	k.matched("PATCH", keyPath("nobody"), `{}`, "*").refused(404, "KEY_NOT_FOUND")
	k.matched("PATCH", path, `{"name":"c"}`, `"x", `+current).want(200)
	k.matched("PATCH", path, `{"name":"d"}`, current).refused(412, "KEY_CHANGED")
	now := k.matched("PATCH", path, `{"name":"d"}`, "*").want(200)
	rotated := k.matched("POST", path+"/rotate", `{}`, now.header.Get("ETag")).want(200)
	if at := rotated.decoded()["rotated_at"]; at != k.clock.Now().Format("2006-01-02T15:04:05.000Z") {
		k.Errorf("rotated_at is %v", at)
	}
	k.matched("DELETE", path, "", now.header.Get("ETag")).refused(412, "KEY_CHANGED")
	revoked := k.matched("DELETE", path, "", rotated.header.Get("ETag")).want(200)
	k.matched("DELETE", path, "", rotated.header.Get("ETag")).refused(412, "KEY_CHANGED")
	k.matched("DELETE", path, "", revoked.header.Get("ETag")).want(200)
	k.matched("PATCH", path, `{}`, revoked.header.Get("ETag")).refused(409, "KEY_REVOKED")
	if key := stale.decoded(); key["rotated_at"] != nil {
		k.Errorf("a new key has rotated_at %v", key["rotated_at"])
	}
}

// Of many editors with the same ETag, one makes its change.
func TestIfMatchRace(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	const editors, rounds = 8, 10
	path := keyPath(k.mustCreate(k.admin, nil).ID)
	for round := range rounds {
		tag := k.get(k.admin, path).want(200).header.Get("ETag")
		var running sync.WaitGroup
		answers := make([]response, editors)
		for i := range editors {
			running.Go(func() {
				answers[i] = k.matched("PATCH", path, fmt.Sprintf(`{"metadata":{"editor":"%d","round":"%d"}}`, i, round), tag)
			})
		}
		running.Wait()
		winner := -1
		for i, answer := range answers {
			switch {
			case answer.status == 200 && winner < 0:
				winner = i
			case answer.status != 412:
				k.Fatalf("round %d: editor %d is answered %d after editor %d", round, i, answer.status, winner)
			}
		}
		metadata, _ := k.get(k.admin, path).want(200).decoded()["metadata"].(map[string]any)
		if winner < 0 || metadata["editor"] != fmt.Sprint(winner) || metadata["round"] != fmt.Sprint(round) {
			k.Fatalf("round %d: editor %d won, and the metadata is %v", round, winner, metadata)
		}
	}
}
