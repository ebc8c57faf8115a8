package handlers_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

const (
	summaryPath = "/v1/summary"
	usagePath   = "/v1/usage"
)

func keyUsagePath(name string) string { return keyPath(name) + "/usage" }

type (
	summary struct {
		Active       int `json:"active"`
		Expired      int `json:"expired"`
		Revoked      int `json:"revoked"`
		Rotating     int `json:"rotating"`
		ExpiringSoon int `json:"expiring_soon"`
		Unused       int `json:"unused"`
	}
	usages struct {
		Since           string       `json:"since"`
		IntervalSeconds int          `json:"interval_seconds"`
		Data            []usageCount `json:"data"`
	}
	usageCount struct {
		Start   string `json:"start"`
		Valid   int    `json:"valid"`
		Refused int    `json:"refused"`
	}
)

// Summaries and usage follow the access rules of lists and keys.
func TestReachOfSummaryAndUsage(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	reader := k.add("team", "reader", apikey.ScopeRead)
	stranger := k.add("other", "stranger", apikey.ScopeRead)
	for _, path := range []string{summaryPath, usagePath, keyUsagePath("reader")} {
		k.get(reader, path).want(200)
		k.get(reader, path+"?owner=team").want(200)
		k.get(k.admin, path+"?owner=team").want(200)
		for _, who := range []key{stranger, k.add("other", "writer of "+path, apikey.ScopeRead, apikey.ScopeWrite, apikey.ScopeVerify)} {
			k.get(who, path+"?owner=team").refused(403, "FORBIDDEN")
		}
		k.get(reader, path+"?owner=a%0Ab").invalid("owner")
		k.get(k.admin, path+"?owner=").invalid("owner")
		k.get(k.admin, path+"?page=1").invalid("page")
		k.do(request{method: "POST", path: path, key: k.admin.Secret, body: "{}"}).refused(405, "METHOD_NOT_ALLOWED")
	}
	// Another owner's key is not found, whether it exists or not.
	for _, path := range []string{keyUsagePath("reader"), keyUsagePath(reader.ID), keyUsagePath("nobody"), keyUsagePath(apikey.NewID().String()),
		keyUsagePath("a\x00b"), keyUsagePath("00000000-0000-0000-0000-000000000000")} {
		k.get(stranger, path).refused(404, "KEY_NOT_FOUND")
	}
	k.get(k.admin, keyUsagePath("reader")).refused(404, "KEY_NOT_FOUND") // names refer to the caller's own owner
	k.get(k.admin, keyUsagePath(reader.ID)).want(200)
}

func TestSummary(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	reader := k.add("team", "reader", apikey.ScopeRead)
	add := func(owner, name string, lifetime time.Duration) key {
		return k.mustCreate(k.admin, fields{"name": name, "owner": owner, "expires_at": k.in(lifetime)})
	}
	const day = 24 * time.Hour
	add("team", "short", time.Hour)
	rotated := add("team", "rotated", 300*day)
	k.rotate(k.admin, keyPath(rotated.ID), fields{"grace_seconds": 3600}).want(200)
	k.revoke(k.admin, keyPath(add("team", "gone", day).ID)).want(200)
	other := add("other", "other", 10*day)
	want := func(by key, path string, want summary) {
		k.Helper()
		if diff := cmp.Diff(want, decode[summary](k.get(by, path).want(200))); diff != "" {
			k.Errorf("%s of %s differs (-want +got):\n%s", path, by.Name, diff)
		}
	}
	want(reader, summaryPath, summary{Active: 3, Revoked: 1, Rotating: 1, ExpiringSoon: 1})
	want(k.admin, summaryPath, summary{Active: 5, Revoked: 1, Rotating: 1, ExpiringSoon: 2})
	want(k.admin, summaryPath+"?owner=team", summary{Active: 3, Revoked: 1, Rotating: 1, ExpiringSoon: 1})
	want(k.admin, summaryPath+"?owner=other", summary{Active: 1, ExpiringSoon: 1})
	want(k.admin, summaryPath+"?owner=nobody", summary{})
	k.clock.Advance(time.Hour)
	want(reader, summaryPath, summary{Active: 2, Expired: 1, Revoked: 1})
	k.clock.Advance(91 * day)
	k.get(reader, keysPath).want(200)
	k.must(k.verifier.Keys.Flush(k.Context()))
	want(reader, summaryPath, summary{Active: 2, Expired: 1, Revoked: 1, Unused: 1})
	want(k.add("other", "other's", apikey.ScopeRead), summaryPath, summary{Active: 1, Expired: 1})
	k.revoke(k.admin, keyPath(other.ID)).want(200)
	want(k.admin, summaryPath+"?owner=other", summary{Active: 1, Revoked: 1})
}

// Every decision for an integrator's API counts, in all three operations, by the time of the answer.
// Authentication by apikeyd itself does not count.
func TestUsage(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	verifier := k.add("gateway", "verifier", apikey.ScopeVerify)
	client := k.mustCreate(k.admin, fields{"name": "client", "owner": "team", "scopes": []string{"a", "keys:read"}})
	limited := k.mustCreate(k.admin, fields{"name": "limited", "owner": "team", "scopes": []string{},
		"rate_limit": fields{"limit": 1, "window_seconds": 60}})
	verify := func(secret string, scopes ...string) {
		k.Helper()
		k.do(request{method: "POST", path: verifyPath, key: verifier.Secret,
			body: fields{"key": secret, "scopes": append([]string{}, scopes...)}.json()}).want(200)
	}
	now := func(path string, by key) (last usageCount) {
		k.Helper()
		u := decode[usages](k.get(by, path).want(200))
		if len(u.Data) > 0 {
			last = u.Data[len(u.Data)-1]
		}
		return last
	}
	var valid, refused, nobody int // of the client, and of secrets that no key has
	check := func(what string) {
		k.Helper()
		for _, path := range []string{usagePath, keyUsagePath("client"), keyUsagePath(client.ID)} {
			if got := now(path, client); got.Valid != valid || got.Refused != refused {
				k.Errorf("after %s, %s says %d VALID and %d refused, want %d and %d", what, path, got.Valid, got.Refused, valid, refused)
			}
		}
		if got := now(usagePath, k.admin); got.Valid != valid || got.Refused != refused+nobody {
			k.Errorf("after %s, all are %d VALID and %d refused, want %d and %d", what, got.Valid, got.Refused, valid, refused+nobody)
		}
	}
	check("nothing")
	verify(client.Secret, "a")
	valid++
	check("verify")
	k.forward(client.Secret, "?scope=a").want(200)
	valid++
	check("forward-auth")
	k.introspect(verifier, client.Secret).want(200)
	valid++
	check("introspection")
	verify(client.Secret, "b")
	refused++
	check("verify, refused")
	k.forward(client.Secret, "?scope=b").want(403)
	k.forward(client.Secret, "?scope=").want(403)
	refused += 2
	check("forward-auth, refused")
	unknown := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	verify("nothing")
	verify(mistyped(client.Secret))
	k.forward(unknown, "").want(401)
	k.introspect(verifier, unknown).want(200)
	nobody += 4
	check("what is no key's")
	k.forward("", "").want(401) // has no secret
	k.get(client, keysPath).want(200)
	k.get(client, keyPath("nobody")).want(404)
	k.do(request{path: keysPath, key: unknown}).refused(401, "")
	k.create(client, nil).want(403)
	check("calls of this API")
	for _, path := range []string{usagePath + "?owner=gateway", keyUsagePath(verifier.ID)} {
		if got := now(path, k.admin); got.Valid+got.Refused != 0 {
			k.Errorf("%s counts %v, and nobody asked about it", path, got)
		}
	}
	verify(limited.Secret)
	verify(limited.Secret) // is over its limit
	if got := now(keyUsagePath(limited.ID), k.admin); got.Valid != 1 || got.Refused != 1 {
		k.Errorf("of a key over its limit it counts %v", got)
	}
	k.revoke(k.admin, keyPath(client.ID)).want(200)
	verify(client.Secret)
	if got := now(keyUsagePath(client.ID), k.admin); got.Valid != valid || got.Refused != refused+1 {
		k.Errorf("of a revoked key it counts %v", got)
	}
}

func TestUsageByTime(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	client := k.add("team", "client", apikey.ScopeRead)
	k.clock.Advance(30*time.Minute + 15*time.Second)
	k.forward(client.Secret, "").want(200)
	k.get(client, usagePath).want(200) // counts it now
	k.clock.Advance(time.Hour - time.Minute)
	k.forward(client.Secret, "").want(200)
	for _, tt := range []struct {
		path                string
		interval, n         int
		first, last         string
		firstTime, lastTime int
	}{
		{usagePath, 60, 60, "2026-11-23T12:30:00.000Z", "2026-11-23T13:29:00.000Z", 1, 1},
		{keyUsagePath("client"), 3600, 24, "2026-11-22T14:00:00.000Z", "2026-11-23T13:00:00.000Z", 0, 1},
	} {
		u := decode[usages](k.get(client, tt.path).want(200))
		if u.Since != "2026-11-23T12:00:00.000Z" || u.IntervalSeconds != tt.interval || len(u.Data) != tt.n {
			k.Fatalf("%s: since %s, %d times %d seconds", tt.path, u.Since, len(u.Data), u.IntervalSeconds)
		}
		first, last := u.Data[0], u.Data[len(u.Data)-1]
		if first.Start != tt.first || first.Valid != tt.firstTime || last.Start != tt.last || last.Valid != tt.lastTime {
			k.Errorf("%s begins with %v and ends with %v", tt.path, first, last)
		}
	}
	k.clock.Advance(time.Minute)
	if u := decode[usages](k.get(client, usagePath).want(200)); u.Data[0].Valid != 0 || u.Data[58].Valid != 1 {
		k.Errorf("a minute later the counts are %v", u.Data)
	}
}
