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

		Codes map[string]int `json:"codes"`
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

// Each code has its count, in each interval, whether it is stored already or not.
func TestStoredUsage(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	client := k.mustCreate(k.admin, fields{"name": "client", "owner": "team", "scopes": []string{"keys:read", "a"},
		"expires_at": k.in(90 * 24 * time.Hour), "allowed_cidrs": []string{"127.0.0.0/8"}, "quota": fields{"limit": 3, "period": "month", "starts_on": 1},
		"rate_limit": fields{"limit": 2, "window_seconds": 60}})
	ask := func(more fields) {
		k.Helper()
		body := fields{"key": client.Secret, "client_address": "127.0.0.9"}
		for name, value := range more {
			body[name] = value
		}
		k.do(request{method: "POST", path: verifyPath, key: k.admin.Secret, body: body.json()}).want(200)
	}
	ask(nil)
	ask(nil)
	ask(nil) // RATE_LIMITED
	ask(fields{"scopes": []string{"b"}})
	ask(fields{"client_address": "192.0.2.1"})
	ask(fields{"cost": 4}) // QUOTA_EXCEEDED
	ask(fields{"key": "none"})
	k.must(k.verifier.Keys.Flush(k.Context()))
	if used := k.get(k.admin, keyPath(client.ID)).want(200).key(); used.LastFrom != "127.0.0.9" {
		k.Errorf("last used from %q", used.LastFrom)
	}
	k.clock.Advance(26 * time.Hour)
	k.patch(k.admin, keyPath(client.ID), fields{"enabled": false}).want(200)
	ask(nil) // DISABLED
	k.patch(k.admin, keyPath(client.ID), fields{"enabled": true}).want(200)
	k.must(k.verifier.Keys.Flush(k.Context()))
	ask(nil)
	k.must(k.verifier.Keys.Flush(k.Context()))
	k.clock.Advance(100 * 24 * time.Hour)
	ask(nil) // EXPIRED
	k.revoke(k.admin, keyPath(client.ID)).want(200)
	ask(nil) // REVOKED

	first := map[string]int{"VALID": 2, "RATE_LIMITED": 1, "INSUFFICIENT_SCOPE": 1, "ADDRESS_NOT_ALLOWED": 1, "QUOTA_EXCEEDED": 1}
	all := map[string]int{"VALID": 2, "RATE_LIMITED": 1, "INSUFFICIENT_SCOPE": 1, "ADDRESS_NOT_ALLOWED": 1, "QUOTA_EXCEEDED": 1, "NOT_FOUND": 1}
	for _, tt := range []struct {
		path  string
		start map[string]map[string]int
	}{
		{keyUsagePath(client.ID) + "?since=2026-11-23T00:30:00Z&until=2026-11-24T14:00:00Z", map[string]map[string]int{
			"2026-11-23T12:00:00.000Z": first,
		}},
		{keyUsagePath(client.ID) + "?interval=hour&since=2026-11-24T14:59:59Z&until=2026-11-24T14:00:00.001Z", map[string]map[string]int{
			"2026-11-24T14:00:00.000Z": {"DISABLED": 1, "VALID": 1},
		}},
		{keyUsagePath(client.ID) + "?interval=day&since=2026-10-01T00:00:00Z", map[string]map[string]int{
			"2026-11-23T00:00:00.000Z": first, "2026-11-24T00:00:00.000Z": {"DISABLED": 1, "VALID": 1},
			"2027-03-04T00:00:00.000Z": {"EXPIRED": 1, "REVOKED": 1},
		}},
		{usagePath + "?interval=day&owner=team&since=2026-11-23T00:00:00Z", map[string]map[string]int{
			"2026-11-23T00:00:00.000Z": first, "2026-11-24T00:00:00.000Z": {"DISABLED": 1, "VALID": 1},
			"2027-03-04T00:00:00.000Z": {"EXPIRED": 1, "REVOKED": 1},
		}},
		{usagePath + "?interval=hour&until=2026-11-23T13:00:00Z", map[string]map[string]int{"2026-11-23T12:00:00.000Z": all}},
		{keyUsagePath(client.ID) + "?interval=minute", map[string]map[string]int{
			"2027-03-04T14:00:00.000Z": {"EXPIRED": 1, "REVOKED": 1},
		}},
	} {
		u, got := decode[usages](k.get(k.admin, tt.path).want(200)), map[string]map[string]int{}
		for _, count := range u.Data {
			if sum := count.Valid + count.Refused; sum != 0 || len(count.Codes) != 0 {
				got[count.Start] = count.Codes
			}
		}
		if diff := cmp.Diff(tt.start, got); diff != "" {
			k.Errorf("%s (-want +got):\n%s", tt.path, diff)
		}
	}
}

func TestUsageIntervals(t *testing.T) {
	t.Parallel()
	k := newKit(t) // it is 12:00
	for _, path := range []string{usagePath, keyUsagePath("admin")} {
		for query, want := range map[string]struct {
			n           int
			first, last string
		}{
			"?interval=minute": {60, "2026-11-23T11:01:00.000Z", "2026-11-23T12:00:00.000Z"},
			"?interval=hour":   {24, "2026-11-22T13:00:00.000Z", "2026-11-23T12:00:00.000Z"},
			"?interval=day":    {30, "2026-10-25T00:00:00.000Z", "2026-11-23T00:00:00.000Z"},
			"?interval=day&until=2026-11-01T00:00:00Z":                                        {30, "2026-10-02T00:00:00.000Z", "2026-10-31T00:00:00.000Z"},
			"?interval=hour&since=2026-11-01T01:59:00%2B01:00&until=2026-11-01T02:00:00.001Z": {3, "2026-11-01T00:00:00.000Z", "2026-11-01T02:00:00.000Z"},
			"?interval=day&since=2025-10-20T23:00:00Z":                                        {400, "2025-10-20T00:00:00.000Z", "2026-11-23T00:00:00.000Z"},
			"?interval=hour&since=9999-12-31T01:00:00Z&until=9999-12-31T23:59:59.999Z":        {23, "9999-12-31T01:00:00.000Z", "9999-12-31T23:00:00.000Z"},
			"?interval=hour&since=1969-12-31T23:00:00Z&until=1970-01-01T02:00:00Z":            {2, "1970-01-01T00:00:00.000Z", "1970-01-01T01:00:00.000Z"},
			"?since=2026-11-16T00:00:00Z":                                                     {181, "2026-11-16T00:00:00.000Z", "2026-11-23T12:00:00.000Z"},
			"?since=2026-09-01T00:00:00Z":                                                     {84, "2026-09-01T00:00:00.000Z", "2026-11-23T00:00:00.000Z"},
			"?since=0001-01-01T00:00:00Z":                                                     {400, "2025-10-20T00:00:00.000Z", "2026-11-23T00:00:00.000Z"},
		} {
			u := decode[usages](k.get(k.admin, path+query).want(200))
			if n := len(u.Data); n != want.n || u.Data[0].Start != want.first || u.Data[n-1].Start != want.last {
				k.Errorf("%s%s: %d intervals from %s to %s, want %+v", path, query, n, u.Data[0].Start, u.Data[n-1].Start, want)
			}
		}
		for query, field := range map[string]string{
			"?interval=week":    "interval",
			"?interval=":        "interval",
			"?since=yesterday":  "since",
			"?until=2026-11-23": "until",
			"?interval=day&since=2025-10-19T23:59:59Z":               "since",
			"?interval=minute&since=2026-11-23T00:00:00Z":            "since",
			"?since=2030-01-01T00:00:00Z":                            "since",
			"?since=2026-11-23T12:00:00Z&until=2026-11-23T12:00:00Z": "since",
			"?since=0001-01-01T00:00:00Z&until=0001-01-01T10:00:00Z": "until",
			"?until=0001-01-01T00:00:00Z":                            "until",
		} {
			k.get(k.admin, path+query).invalid(field)
		}
		k.get(k.admin, path+"?interval=hour&interval=day").refused(400, "")
	}
}
