package conformance

import (
	"net/http"
	"time"

	"apikeyd/apikey"
)

func quotaChecks() []check {
	const group = "quotas"
	return []check{
		{group, "stored", "a quota is stored, changed and removed", needAdminKey, keptQuotas},
		{group, "invalid", "a quota consists of a whole number, a period, and a day of it", needAdminKey, badQuotas},
		{group, "inherited", "only keys:admin sets a quota, and new keys inherit it", needAdminKey, inheritedQuotas},
		{group, "exceeded", "a call that costs more than is left is QUOTA_EXCEEDED, with the time to wait", needAdminKey, overQuota},
		{group, "costs", "a cost is a whole number from 0 to 1,000,000", needAdminKey, badCosts},
		{group, "counting", "only calls that pass use up a quota", needAdminKey, whatUsesUp},
		{group, "changed", "a changed quota keeps what was used", needAdminKey, changedQuota},
		{group, "forward-auth", "forward-auth answers 403 or 429 over the quota, with rate limit headers", needAdminKey, forwardedQuotas},
	}
}

func quotaOf(limit int, period string, startsOn int) fields {
	return fields{"limit": limit, "period": period, "starts_on": startsOn}
}

// perMonth returns a quota whose period outlasts this run.
func perMonth(limit int) fields {
	startsOn := 1
	if day := time.Now().UTC().Day(); day < 10 || day > 20 {
		startsOn = 15
	}
	return quotaOf(limit, "month", startsOn)
}

// quotaKey creates a key with a quota of 10 and no rate limit.
func (s *session) quotaKey() created {
	return s.create(s.keyBody().with("scopes", readScopes(s)).with("rate_limit", nil).with("quota", perMonth(10)))
}

func keptQuotas(s *session) {
	quotaField.kept(s, perMonth(100),
		limitChange{"changing nothing", fields{}, perMonth(100)},
		limitChange{"changing the name", fields{"name": s.newName()}, perMonth(100)},
		limitChange{"the smallest", fields{"quota": quotaOf(1, "day", 1)}, quotaOf(1, "day", 1)},
		limitChange{"the largest", fields{"quota": quotaOf(apikey.MaxQuota, "month", 31)}, quotaOf(apikey.MaxQuota, "month", 31)},
		limitChange{"a week from Sunday", fields{"quota": quotaOf(5, "week", 7)}, quotaOf(5, "week", 7)},
		limitChange{"leaving out the day", fields{"quota": fields{"limit": 5, "period": "week"}}, quotaOf(5, "week", 1)},
		limitChange{"taking it away", fields{"quota": nil}, nil},
		limitChange{"taking away what is not there", fields{"quota": nil}, nil},
		limitChange{"setting it again", fields{"quota": perMonth(5)}, perMonth(5)},
	)
}

func badQuotas(s *session) {
	quotaField.refused(s, map[string]badLimit{
		"a number":                   {"quota", 100},
		"a string":                   {"quota", "100/month"},
		"no period":                  {"period", fields{"limit": 1}},
		"no limit":                   {"limit", fields{"period": "day"}},
		"a limit of 0":               {"limit", perMonth(0)},
		"a limit below 0":            {"limit", perMonth(-1)},
		"a limit over 10^12":         {"limit", perMonth(apikey.MaxQuota + 1)},
		"a limit that is a string":   {"limit", fields{"limit": "1", "period": "day"}},
		"a limit of one and a half":  {"limit", fields{"limit": 1.5, "period": "day"}},
		"a period that is unknown":   {"period", quotaOf(1, "year", 1)},
		"a period in capitals":       {"period", quotaOf(1, "DAY", 1)},
		"a day of 0":                 {"starts_on", quotaOf(1, "month", 0)},
		"a day 32 of a month":        {"starts_on", quotaOf(1, "month", 32)},
		"a day 8 of a week":          {"starts_on", quotaOf(1, "week", 8)},
		"a second day of a day":      {"starts_on", quotaOf(1, "day", 2)},
		"a day that is a name":       {"starts_on", fields{"limit": 1, "period": "week", "starts_on": "monday"}},
		"something more":             {"cost", perMonth(1).with("cost", 2)},
		"a quota with a limit in it": {"window_seconds", perMonth(1).with("window_seconds", 60)},
	})
}

func inheritedQuotas(s *session) {
	quotaField.inherited(s, perMonth(50), nil, perMonth(51), perMonth(49), quotaOf(50, "day", 1))
}

// verifyCost verifies a secret for a call with a cost, and checks the code and what is left.
func (s *session) verifyCost(code, secret string, cost, left int, why string) answer {
	a := s.decision("", code, fields{"key": secret, "cost": cost}, why)
	s.wantLeft(a.about, a.body["quota"], left)
	return a
}

// wantLeft checks the state of a quota per month.
func (s *session) wantLeft(about string, state any, left int) {
	quota := object(state)
	if quota["remaining"] != float64(left) {
		s.fail("%s: quota is %v, want %d left", about, state, left)
	}
	text, _ := quota["resets_at"].(string)
	resets, err := time.Parse(time.RFC3339, text)
	if wait := time.Until(resets); err != nil || wait < 0 || wait > 32*24*time.Hour || !resets.Equal(resets.Truncate(24*time.Hour)) {
		s.fail("%s: resets_at is %v, want a midnight within a month", about, quota["resets_at"])
	}
}

// wantUntilReset checks a number of seconds to wait until a quota per month is whole again.
func (s *session) wantUntilReset(about string, seconds float64) {
	if seconds < 1 || seconds > 32*86400 {
		s.fail("%s: wait %v s, want what is left of a month", about, seconds)
	}
}

func overQuota(s *session) {
	key := s.quotaKey()
	a := s.verify("VALID", key.secret, "a call that costs 1")
	s.wantLeft(a.about, a.body["quota"], 9)
	s.verifyCost("VALID", key.secret, 4, 5, "a call that costs 4")
	for range 2 {
		a := s.verifyCost("QUOTA_EXCEEDED", key.secret, 6, 5, "a call that costs 6 of 5")
		seconds, _ := a.body["retry_after_seconds"].(float64)
		s.wantUntilReset(a.about, seconds)
		s.same(a.about, object(a.body["key"]), key.body)
	}
	s.verifyCost("VALID", key.secret, 5, 0, "a call that costs all of 5")
	s.verifyCost("VALID", key.secret, 0, 0, "a free call")
	s.verify("QUOTA_EXCEEDED", key.secret, "a call that costs 1 of 0")
	s.verify("INSUFFICIENT_SCOPE", key.secret, "over the quota, and a scope is lacking", unheldScope)
	s.accepted(key.id, key.secret, "over the quota, here: it counts for verify and forward-auth only")
	a = s.want(http.StatusOK, request{operation: "getApiKeyUsage", key: key.id, why: "over the quota"})
	s.wantLeft(a.about, a.body["quota"], 0)
	events := s.reported("quota_reached", key)
	if len(events) != 1 {
		s.fail("a quota that is used up made %d events in 5 s, want 1", len(events))
		return
	}
	notice := object(object(object(events[0]["changes"])["notice"])["to"])
	if notice["limit"] != 10.0 || notice["resets_at"] != object(a.body["quota"])["resets_at"] || events[0]["name"] != key.name {
		s.fail("the event of a quota that is used up is %v", events[0])
	}
}

func badCosts(s *session) {
	key := s.quotaKey()
	for why, cost := range map[string]any{
		"below 0": -1, "over 1,000,000": 1_000_001, "one and a half": 1.5, "a string": "1", "a list": []int{1}, "huge": 1e300,
	} {
		s.refuses("cost", request{operation: "verifyApiKey", body: fields{"key": key.secret, "cost": cost}.json(), why: "cost: " + why})
	}
	for _, query := range []string{"cost=0", "cost=-1", "cost=1000001", "cost=1.5", "cost=x", "cost=", "cost=1&cost=x"} {
		s.want(http.StatusForbidden, request{operation: "forwardAuth", secret: key.secret, query: query, why: "not a cost"})
	}
	s.verifyCost("QUOTA_EXCEEDED", key.secret, 1_000_000, 10, "the highest cost")
	s.verifyCost("VALID", key.secret, 10, 0, "none of that was used")
}

func whatUsesUp(s *session) {
	key := s.create(s.keyBody().with("scopes", readScopes(s)).with("rate_limit", perDay(2)).with("quota", perMonth(10)))
	forward := request{operation: "forwardAuth", secret: key.secret, query: "cost=5&scope=" + unheldScope, why: "a scope is lacking"}
	for range 3 {
		s.verify("INSUFFICIENT_SCOPE", key.secret, "a scope is lacking", unheldScope)
		s.want(http.StatusForbidden, forward)
		s.introspect(key.secret, "the key of a quota")
		s.accepted(key.id, key.secret, "which uses no quota")
		s.verifyCost("QUOTA_EXCEEDED", key.secret, 11, 10, "a call that costs 11 of 10")
	}
	s.verifyCost("VALID", key.secret, 2, 8, "the first call that uses up some")
	forward.query, forward.why = "cost=3", "the second call that uses up some"
	s.want(http.StatusOK, forward)
	for range 3 {
		s.verifyCost("RATE_LIMITED", key.secret, 1, 5, "over the rate limit, which uses up no quota")
	}
	s.verifyCost("QUOTA_EXCEEDED", key.secret, 6, 5, "over both")
	s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: fields{"rate_limit": nil}.json()})
	s.verifyCost("VALID", key.secret, 5, 0, "all that is left")
}

func changedQuota(s *session) {
	key := s.quotaKey()
	change := func(why string, quota any) {
		s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: fields{"quota": quota}.json(), why: why})
	}
	s.verifyCost("VALID", key.secret, 8, 2, "before")
	change("a higher limit", perMonth(12))
	s.verifyCost("VALID", key.secret, 1, 3, "with a higher limit")
	change("a limit below what was used", perMonth(5))
	s.verifyCost("QUOTA_EXCEEDED", key.secret, 1, 0, "with a limit below what was used")
	change("no quota", nil)
	a := s.verify("VALID", key.secret, "without a quota")
	if state, ok := a.body["quota"]; ok {
		s.fail("%s: quota is %v, want none", a.about, state)
	}
	change("the quota again", perMonth(12))
	s.verifyCost("VALID", key.secret, 3, 0, "with the quota again")
}

func forwardedQuotas(s *session) {
	key := s.quotaKey()
	a := s.want(http.StatusOK, request{operation: "forwardAuth", secret: key.secret, why: "within the quota"})
	s.wantQuotaHeaders(a, 9)
	// A gateway may append what its client wrote: the highest cost counts.
	a = s.want(http.StatusOK, request{operation: "forwardAuth", secret: key.secret, query: "cost=2&x=1&cost=4&cost=1", why: "a cost"})
	s.wantQuotaHeaders(a, 5)
	quotaField.exceeded(s, key, map[string]int{
		"cost=6":                  http.StatusForbidden,
		"cost=6&rate_limited=429": http.StatusTooManyRequests,
		"cost=6&cost=1":           http.StatusForbidden,
		"cost=1&cost=6":           http.StatusForbidden,
	}, func(a answer, seconds float64) {
		s.wantQuotaHeaders(a, 5)
		s.wantUntilReset(a.about, seconds)
	})
	// The missing scope takes precedence.
	s.wantCode(http.StatusForbidden, "INSUFFICIENT_SCOPE", request{operation: "forwardAuth", secret: key.secret,
		query: "cost=6&scope=" + unheldScope, why: "over the quota"})
}

// wantQuotaHeaders checks the headers of a quota of 10.
func (s *session) wantQuotaHeaders(a answer, left int) {
	s.wantLimitHeaders(a, `"quota"`, ";q=10", left, 32*86400)
}
