package conformance

import (
	"net/http"
	"net/url"
	"time"
)

func historyChecks() []check {
	return []check{
		{"history", "then", "a key's history says what it was at each moment of its life", needWriteKey, moments},
	}
}

// past requests what a key was.
func (s *session) past(key string, at time.Time, why string) map[string]any {
	return s.want(http.StatusOK, request{operation: "getApiKeyHistory", key: key, query: asOf(at), why: why}).body
}

func asOf(at time.Time) string { return "at=" + url.QueryEscape(at.Format(time.RFC3339Nano)) }

// wantPast checks a key's past: the key as it was, and the number of its secret.
func (s *session) wantPast(got, want map[string]any, secret float64, why string) {
	key := object(got["key"])
	s.same(why, key, without(want, "secret"))
	for _, name := range []string{"last_used_at", "last_used_from"} {
		if used, told := key[name]; told {
			s.fail("%s: %s is %v, and its past is not recorded", why, name, used)
		}
	}
	if got["secret_generation"] != secret || got["consistent"] != true {
		s.fail("%s: secret_generation is %v and consistent %v, want %v and true", why, got["secret_generation"], got["consistent"], secret)
	}
}

func moments(s *session) {
	key := s.create(s.keyBody().with("metadata", fields{"plan": "pro"}))
	apart := func() { s.pause(5 * time.Millisecond) }
	apart()
	s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id,
		body: fields{"name": s.newName(), "metadata": fields{}}.json()})
	apart()
	rotated := s.rotate(key, "{}")
	apart()
	revoked := s.want(http.StatusOK, request{operation: "revokeApiKey", key: key.id, query: "reason=superseded"}).body
	created, end := stamp(key.body["created_at"]), stamp(revoked["revoked_at"])

	s.wantPast(s.past(key.id, created, "when it was created"), key.body, 1, "when it was created")
	s.wantPast(s.past(key.id, end.Add(-time.Millisecond), "before it was revoked"),
		rotated.body, 2, "before it was revoked")
	today := s.want(http.StatusOK, request{operation: "getApiKeyHistory", key: key.id, why: "without a time"}).body
	s.wantPast(today, revoked, 2, "without a time")
	now := s.past(key.id, end, "when it was revoked")
	s.wantPast(now, revoked, 2, "when it was revoked")
	if since := stamp(now["secret_since"]); !since.After(created) || !since.Before(end) {
		s.fail("the secret was made at %s, not between %s and %s", since, created, end)
	}
	for why, query := range map[string]string{
		"before its creation": asOf(created.Add(-time.Millisecond)), "in the future": asOf(end.AddDate(1, 0, 0)),
		"no time": "at=yesterday",
	} {
		s.refuses("at", request{operation: "getApiKeyHistory", key: key.id, query: query, why: why})
	}
}
