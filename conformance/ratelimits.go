package conformance

import "net/http"

func rateLimitChecks() []check {
	const group = "rate-limits"
	return []check{
		{group, "stored", "a rate limit is stored, changed and removed", needAdminKey, keptLimits},
		{group, "invalid", "a rate limit consists of whole numbers within their limits", needAdminKey, badLimits},
		{group, "inherited", "only keys:admin sets a rate limit, and new keys inherit it", needAdminKey, inheritedLimits},
		{group, "exceeded", "a key over its limit is RATE_LIMITED, with the time to wait", needAdminKey, overLimit},
		{group, "counting", "only calls that pass count against the limit", needAdminKey, whatCounts},
		{group, "forward-auth", "forward-auth answers 403 or 429 over the limit, with rate limit headers", needAdminKey, forwardedLimits},
	}
}

// perDay returns a limit whose window outlasts this run, so that no used call becomes available
// again.
func perDay(limit int) fields { return fields{"limit": limit, "window_seconds": 86400} }

// limitedKey creates a key that verify and forward-auth let pass this often today.
func (s *session) limitedKey(limit int) created {
	return s.create(s.keyBody().with("scopes", readScopes(s)).with("rate_limit", perDay(limit)).with("quota", nil))
}

func keptLimits(s *session) {
	rateLimitField.kept(s, perDay(100),
		limitChange{"changing nothing", fields{}, perDay(100)},
		limitChange{"changing the name", fields{"name": s.newName()}, perDay(100)},
		limitChange{"the smallest", fields{"rate_limit": fields{"limit": 1, "window_seconds": 1}}, fields{"limit": 1, "window_seconds": 1}},
		limitChange{"the largest", fields{"rate_limit": perDay(1_000_000)}, perDay(1_000_000)},
		limitChange{"taking it away", fields{"rate_limit": nil}, nil},
		limitChange{"taking away what is not there", fields{"rate_limit": nil}, nil},
		limitChange{"setting it again", fields{"rate_limit": perDay(5)}, perDay(5)},
	)
}

func badLimits(s *session) {
	rateLimitField.refused(s, map[string]badLimit{
		"a number":                  {"rate_limit", 100},
		"a string":                  {"rate_limit", "100/60"},
		"an array":                  {"rate_limit", []int{100, 60}},
		"no window":                 {"window_seconds", fields{"limit": 1}},
		"no limit":                  {"limit", fields{"window_seconds": 1}},
		"a limit of 0":              {"limit", perDay(0)},
		"a limit below 0":           {"limit", perDay(-1)},
		"a limit over 1,000,000":    {"limit", perDay(1_000_001)},
		"a limit that is a string":  {"limit", fields{"limit": "1", "window_seconds": 1}},
		"a limit of one and a half": {"limit", fields{"limit": 1.5, "window_seconds": 1}},
		"a limit that is null":      {"limit", fields{"limit": nil, "window_seconds": 1}},
		"a window of 0":             {"window_seconds", fields{"limit": 1, "window_seconds": 0}},
		"a window over a day":       {"window_seconds", fields{"limit": 1, "window_seconds": 86401}},
		"a window of half a second": {"window_seconds", fields{"limit": 1, "window_seconds": 0.5}},
		"something more":            {"burst", perDay(1).with("burst", 2)},
	})
}

func inheritedLimits(s *session) {
	rateLimitField.inherited(s, perDay(50), nil, perDay(51), perDay(49))
}

// wantWait checks the seconds until the next call of a limit per day passes.
func (s *session) wantWait(about string, seconds float64, limit int) {
	// The next one passes after 86400 s / limit; some of that may already be over.
	if most := float64(86400 / limit); seconds > most || seconds < most-3600 {
		s.fail("%s: wait %v s, want at most %v", about, seconds, most)
	}
}

func overLimit(s *session) {
	key := s.limitedKey(2)
	s.verify("VALID", key.secret, "the first call of 2")
	s.verify("VALID", key.secret, "the second call of 2")
	for range 3 {
		a := s.verify("RATE_LIMITED", key.secret, "over the limit")
		seconds, _ := a.body["retry_after_seconds"].(float64)
		s.wantWait(a.about, seconds, 2)
		s.same(a.about, object(a.body["key"]), key.body)
	}
	s.verify("INSUFFICIENT_SCOPE", key.secret, "over the limit, and a scope is lacking", unheldScope)
	s.accepted(key.id, key.secret, "over the limit, here: it counts for verify and forward-auth only")

	change := func(why string, limit any) {
		s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id,
			body: fields{"rate_limit": limit}.json(), why: why})
	}
	change("a higher limit", perDay(20))
	s.verify("VALID", key.secret, "with a higher limit")
	change("a limit of 1", perDay(1))
	s.verify("VALID", key.secret, "the only call of a new limit")
	s.verify("RATE_LIMITED", key.secret, "over the new limit")
	change("no limit", nil)
	for range 3 {
		s.verify("VALID", key.secret, "without a limit")
	}
}

func whatCounts(s *session) {
	key := s.limitedKey(2)
	forward := request{operation: "forwardAuth", secret: key.secret, query: "scope=" + unheldScope, why: "a scope is lacking"}
	for range 3 {
		s.verify("INSUFFICIENT_SCOPE", key.secret, "a scope is lacking", unheldScope)
		s.want(http.StatusForbidden, forward)
		s.introspect(key.secret, "the key of a rate limit")
		s.accepted(key.id, key.secret, "which counts against no limit")
	}
	s.verify("VALID", key.secret, "the first call that counts")
	forward.query, forward.why = "", "the second call that counts"
	s.want(http.StatusOK, forward)
	var waits []float64
	for range 5 {
		a := s.verify("RATE_LIMITED", key.secret, "the third call that counts")
		seconds, _ := a.body["retry_after_seconds"].(float64)
		waits = append(waits, seconds)
	}
	if waits[4] > waits[0] {
		s.fail("refused calls delay the next one that passes: the waits are %v s", waits)
	}
}

func forwardedLimits(s *session) {
	key := s.limitedKey(2)
	for left := range 2 {
		a := s.want(http.StatusOK, request{operation: "forwardAuth", secret: key.secret, why: "within the limit"})
		s.wantRateLimitHeaders(a, 1-left)
	}
	rateLimitField.exceeded(s, key, map[string]int{
		"":                         http.StatusForbidden,
		"rate_limited=403":         http.StatusForbidden,
		"rate_limited=429":         http.StatusTooManyRequests,
		"x=1&rate_limited=429&y=2": http.StatusTooManyRequests,
		"rate_limited=418":         http.StatusForbidden,
		"rate_limited=":            http.StatusForbidden,
	}, func(a answer, seconds float64) {
		s.wantRateLimitHeaders(a, 0)
		s.wantWait(a.about, seconds, 2)
	})
	// The missing scope takes precedence.
	s.wantCode(http.StatusForbidden, "INSUFFICIENT_SCOPE", request{operation: "forwardAuth", secret: key.secret,
		query: "rate_limited=429&scope=" + unheldScope, why: "over the limit"})
	free := s.create(s.keyBody().with("scopes", []string{}).with("rate_limit", nil).with("quota", nil))
	a := s.want(http.StatusOK, request{operation: "forwardAuth", secret: free.secret, why: "without a limit"})
	for _, name := range []string{"RateLimit", "RateLimit-Policy", "Retry-After"} {
		if value, ok := a.header[http.CanonicalHeaderKey(name)]; ok {
			s.fail("%s: %s is %q", a.about, name, value)
		}
	}
}

// wantRateLimitHeaders checks the headers of a limit of 2 per day.
func (s *session) wantRateLimitHeaders(a answer, left int) {
	s.wantLimitHeaders(a, `"key"`, ";q=2;w=86400", left, 86400)
}
