package conformance

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"apikeyd/apikey"
)

func usageChecks() []check {
	const group = "usage"
	return []check{
		{group, "summary", "a summary counts the keys that lists find", needAdminKey | needWriteKey, summaries},
		{group, "intervals", "usage has every interval, oldest first", needNothing, intervals},
		{group, "decisions", "each decision about a key is counted once and immediately", needWriteKey | needVerifyKey | needUnlimitedKey, decisions},
		{group, "owners", "an owner's usage covers its keys, and unknown secrets count only for all owners together", needAdminKey | needWriteKey | needUnlimitedKey, ownersUsage},
		{group, "invalid", "an invalid query is refused", needNothing, badUsageQueries},
	}
}

func summaries(s *session) {
	owner := s.newName()
	query := "owner=" + url.QueryEscape(owner)
	count := func(query string) float64 {
		return float64(len(s.walk("&"+query, 3)))
	}
	want := func(why string, want fields) {
		a := s.want(http.StatusOK, request{operation: "getSummary", query: query, why: why})
		soon := url.QueryEscape(apikey.Timestamp(time.Now().Add(30 * 24 * time.Hour)).String())
		lists := fields{
			"active": count(query + "&status=ACTIVE"), "expired": count(query + "&status=EXPIRED"),
			"revoked": count(query + "&status=REVOKED"), "suspended": count(query + "&enabled=false"), "rotating": count(query + "&rotating=true"),
			"expiring_soon": count(query + "&status=ACTIVE&expires_before=" + soon), "unused": 0.0,
		}
		for name := range lists {
			if a.body[name] != want[name] || lists[name] != want[name] {
				s.fail("%s: %s is %v, and lists find %v, want %v", a.about, name, a.body[name], lists[name], want[name])
			}
		}
	}
	numbers := func(active, expired, revoked, rotating float64) fields {
		return fields{"active": active, "expired": expired, "revoked": revoked, "suspended": max(revoked-1, 0), "rotating": rotating,
			"expiring_soon": active, "unused": 0.0}
	}
	want("before there is a key", numbers(0, 0, 0, 0))
	var keys []created
	for range 6 {
		keys = append(keys, s.create(s.keyBody().with("owner", owner)))
	}
	want("six keys", numbers(6, 0, 0, 0))
	for _, key := range keys[1:4] {
		s.rotate(key, `{"grace_seconds":600}`)
	}
	want("three rotated", numbers(6, 0, 0, 3))
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: keys[1].id})
	s.expire(keys[2])
	want("one of these revoked, one expired", numbers(4, 1, 1, 1))
	s.suspend(keys[3], true, "suspending a rotated key")
	want("and the third suspended", numbers(3, 1, 2, 0))
}

// intervals checks the intervals of usage without changing anything.
func intervals(s *session) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		operation, query string
		interval         time.Duration
		n                int
	}{
		{"getUsage", "", time.Minute, 60},
		{"getApiKeyUsage", "", time.Hour, 24},
		{"getUsage", "interval=hour", time.Hour, 24},
		{"getUsage", "interval=day", day, 30},
		{"getApiKeyUsage", "interval=minute", time.Minute, 60},
		{"getApiKeyUsage", "interval=day", day, 30},
		{"getUsage", "interval=hour&since=2026-11-01T00:30:00Z&until=2026-11-01T03:30:00Z", time.Hour, 4},
		{"getApiKeyUsage", "interval=day&since=2026-11-01T00:00:00Z&until=2026-11-08T00:00:00Z", day, 7},
	} {
		a := s.want(http.StatusOK, request{operation: tt.operation, key: s.id, query: tt.query})
		data := list(a.body["data"])
		if a.body["interval_seconds"] != tt.interval.Seconds() || len(data) != tt.n {
			s.fail("%s: %d intervals of %v seconds, want %d of %v", a.about, len(data), a.body["interval_seconds"],
				tt.n, tt.interval.Seconds())
			continue
		}
		first := stamp(object(data[0])["start"])
		if first.Truncate(tt.interval) != first {
			s.fail("%s: the first interval begins at %s", a.about, first)
		}
		for i, item := range data {
			if at := stamp(object(item)["start"]); !at.Equal(first.Add(time.Duration(i) * tt.interval)) {
				s.fail("%s: interval %d begins at %s, %s after the first", a.about, i, at, at.Sub(first))
			}
		}
		if _, since, asked := strings.Cut(tt.query, "since="); asked {
			asked, _, _ := strings.Cut(since, "&")
			if want := stamp(asked).Truncate(tt.interval); !first.Equal(want) {
				s.fail("%s: the first interval begins at %s, want %s", a.about, first, want)
			}
		} else if since := stamp(a.body["since"]); since.After(first.Add(time.Duration(tt.n) * tt.interval)) {
			s.fail("%s: counting begins at %s, after the last interval", a.about, since)
		}
	}
}

// counted is the sum over all intervals of a usage.
type counted struct{ valid, refused float64 }

// countedIn also checks that the codes of each interval add up.
func (s *session) countedIn(a answer) (sum counted) {
	for _, item := range list(a.body["data"]) {
		valid, _ := object(item)["valid"].(float64)
		refused, _ := object(item)["refused"].(float64)
		sum.valid += valid
		sum.refused += refused
		var codes counted
		for code, n := range object(object(item)["codes"]) {
			n, _ := n.(float64)
			if code == "VALID" {
				codes.valid += n
			} else {
				codes.refused += n
			}
		}
		if codes != (counted{valid, refused}) {
			s.fail("%s: the codes of an interval are %v, and it has %v VALID and %v refused", a.about, object(item)["codes"], valid, refused)
		}
	}
	return sum
}

// wantStored checks the counts of hours and days, which are those of all nodes, at most ten seconds late.
func (s *session) wantStored(r request, want counted) {
	why := r.why
	for _, interval := range []string{"hour", "day"} {
		r.query, r.why = "interval="+interval, why+", by the "+interval
		sum := s.countedIn(s.want(http.StatusOK, r))
		for deadline := time.Now().Add(storedWithin); sum.valid+sum.refused < want.valid+want.refused && time.Now().Before(deadline); {
			s.pause(time.Second)
			sum = s.countedIn(s.want(http.StatusOK, r))
		}
		if sum != want {
			s.fail("%s: %v VALID and %v refused, want %v and %v", r.why, sum.valid, sum.refused, want.valid, want.refused)
		}
	}
}

// storedWithin is how late counts may be on another node, and some.
const storedWithin = 12 * time.Second

// wantUsage checks the counts by the minute. Each node counts on its own and is identified by since; if there are
// several, wantUsage asks until the sum is right.
func (s *session) wantUsage(r request, want counted) {
	r.query = strings.TrimPrefix(r.query+"&interval=minute", "&")
	nodes := make(map[string]counted)
	var sum counted
	for range 30 {
		a := s.want(http.StatusOK, r)
		nodes[text(a.body["since"])] = s.countedIn(a)
		sum = counted{}
		for node := range maps.Values(nodes) {
			sum.valid += node.valid
			sum.refused += node.refused
		}
		if sum == want {
			return
		}
	}
	s.fail("%s: %v VALID and %v refused on %d nodes, want %v and %v", r.why, sum.valid, sum.refused, len(nodes),
		want.valid, want.refused)
}

func decisions(s *session) {
	key := s.reader()
	wantOf := func(id, why string, valid, refused float64) {
		s.wantUsage(request{operation: "getApiKeyUsage", key: id, why: why}, counted{valid, refused})
	}
	wantOf(key.id, "a new key", 0, 0)
	s.verify("VALID", key.secret, "counted")
	wantOf(key.id, "verified once", 1, 0)
	s.want(http.StatusOK, request{operation: "forwardAuth", secret: key.secret})
	wantOf(key.id, "and by a gateway", 2, 0)
	s.introspect(key.secret, "counted")
	wantOf(key.id, "and by introspection", 3, 0)
	s.verify("INSUFFICIENT_SCOPE", key.secret, "counted", "conformance:lacking")
	s.want(http.StatusForbidden, request{operation: "forwardAuth", secret: key.secret, query: "scope=conformance:lacking"})
	wantOf(key.id, "refused twice", 3, 2)
	s.verify("NOT_FOUND", anotherSecret(key.secret), "another secret of the key")
	s.want(http.StatusOK, request{operation: "getApiKey", key: key.id, secret: key.secret, why: "a call of the service itself"})
	wantOf(key.id, "a wrong secret, and a call of the service", 3, 2)
	s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id})
	s.verify("REVOKED", key.secret, "counted")
	wantOf(key.id, "revoked, and refused again", 3, 3)
	wantOf(key.name, "by name", 3, 3)
	s.wantStored(request{operation: "getApiKeyUsage", key: key.id, why: "stored"}, counted{3, 3})
}

func ownersUsage(s *session) {
	owner := s.newName()
	var keys []created
	for range 2 {
		key := s.create(s.keyBody().with("owner", owner).with("rate_limit", nil).with("quota", nil))
		keys = append(keys, key)
		s.verify("VALID", key.secret, "counted")
		s.verify("INSUFFICIENT_SCOPE", key.secret, "counted", "conformance:lacking")
	}
	s.verify("VALID", keys[0].secret, "counted")
	s.verify("NOT_FOUND", anotherSecret(keys[0].secret), "no key's")
	query := "owner=" + url.QueryEscape(owner)
	s.wantUsage(request{operation: "getUsage", query: query, why: "an owner with two keys"}, counted{3, 2})
	s.wantUsage(request{operation: "getUsage", query: query + "x", why: "an owner without keys"}, counted{})
	// Others may use the service at the same time.
	if all := s.countedIn(s.want(http.StatusOK, request{operation: "getUsage"})); all.valid+all.refused == 0 {
		s.fail("the usage of all owners is zero, although an owner's is not")
	}
	reader := s.create(s.keyBody().with("owner", owner).with("scopes", []string{apikey.ScopeRead}))
	s.wantUsage(request{operation: "getUsage", secret: reader.secret, why: "the owner itself"}, counted{3, 2})
}

func badUsageQueries(s *session) {
	for _, operation := range []string{"getSummary", "getUsage", "getApiKeyUsage"} {
		for query, field := range map[string]string{
			"page=1": "page", "owner=": "owner", "owner=a%0Ab": "owner", "owner=a&owner=a": "owner", "before=2026-11-01T00:00:00Z": "before",
		} {
			s.refuses(field, request{operation: operation, key: s.run, query: query})
		}
	}
	for _, operation := range []string{"getUsage", "getApiKeyUsage"} {
		for query, field := range map[string]string{
			"interval=week": "interval", "interval=Hour": "interval", "since=yesterday": "since", "until=2026-11-01": "until",
			"interval=minute&since=2026-11-01T00:00:00Z": "since", "since=9999-12-31T00:00:00Z": "since",
			"since=2026-11-01T00:00:00Z&until=2026-11-01T00:00:00Z": "since",
		} {
			s.refuses(field, request{operation: operation, key: s.id, query: query})
		}
	}
	for _, key := range slices.Compact([]string{s.run, "00000000-0000-0000-0000-000000000000"}) {
		s.want(http.StatusNotFound, request{operation: "getApiKeyUsage", key: key, why: "no such key"})
	}
}
