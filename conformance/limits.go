package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"

	"apikeyd/apikey"
)

// limitField is a property of keys that limits calls: only admins set it, null removes it, and new keys inherit it.
type limitField struct {
	property string
	noun     string
	code     string // of a call over the limit
}

var (
	rateLimitField = limitField{"rate_limit", "limit", "RATE_LIMITED"}
	quotaField     = limitField{"quota", "quota", "QUOTA_EXCEEDED"}
)

// limitChange is a change of a key, and the limit that it has then; nil is none.
type limitChange struct {
	why    string
	change fields
	want   fields
}

// badLimit is an invalid limit, and the property that the refusal must name.
type badLimit struct {
	property string
	value    any
}

// is checks the limit in a key's body.
func (f limitField) is(s *session, why string, body map[string]any, want fields) {
	got, limited := body[f.property]
	var decoded any
	if want != nil {
		_ = json.Unmarshal([]byte(want.json()), &decoded) // it was encoded just now
	}
	switch {
	case want == nil && limited:
		s.fail("%s: %s is %v, want none", why, f.property, got)
	case want != nil && !reflect.DeepEqual(got, decoded):
		s.fail("%s: %s is %v, want %v", why, f.property, got, want)
	}
}

// kept creates a key with this limit and makes the changes.
func (f limitField) kept(s *session, limit fields, changes ...limitChange) {
	key := s.create(s.keyBody().with(f.property, limit))
	f.is(s, "a new key", key.body, limit)
	for _, tt := range changes {
		a := s.want(http.StatusOK, request{operation: "updateApiKey", key: key.id, body: tt.change.json(), why: tt.why})
		f.is(s, a.about, a.body, tt.want)
		f.is(s, "after "+tt.why, s.get(key.id, "after "+tt.why), tt.want)
	}
	f.is(s, "a key created with null", s.create(s.keyBody().with(f.property, nil)).body, nil)
}

// refused requires that creation and update refuse invalid limits.
func (f limitField) refused(s *session, limits map[string]badLimit) {
	for why, tt := range limits {
		why = f.property + ": " + why
		s.refuses(tt.property, request{operation: "createApiKey", body: s.keyBody().with(f.property, tt.value).json(), why: why})
		s.refuses(tt.property, request{operation: "updateApiKey", key: s.run, body: fields{f.property: tt.value}.json(), why: why})
	}
}

// inherited requires that the keys of a key with this limit have it, and can get none of the others.
func (f limitField) inherited(s *session, limit fields, others ...any) {
	writers := s.keyBody().with("owner", s.run).with("scopes", []string{apikey.ScopeRead, apikey.ScopeWrite})
	limited := s.create(writers.with(f.property, limit))
	free := s.create(writers.with("name", s.newName()).with(f.property, nil))
	for _, tt := range []struct {
		why    string
		writer created
		has    fields
		wants  []any
	}{
		{"a key with a " + f.noun, limited, limit, others},
		{"a key without a " + f.noun, free, nil, []any{limit}},
	} {
		child := s.createAs(tt.writer.secret, s.keyBody())
		f.is(s, "the child of "+tt.why, child.body, tt.has)
		for _, other := range tt.wants {
			why := sprintf("%s %v, by %s", f.property, other, tt.why)
			s.want(http.StatusForbidden, request{operation: "createApiKey", secret: tt.writer.secret,
				body: s.keyBody().with(f.property, other).json(), why: why})
			for _, target := range []created{child, tt.writer} {
				s.want(http.StatusForbidden, request{operation: "updateApiKey", secret: tt.writer.secret, key: target.id,
					body: fields{f.property: other}.json(), why: why})
				f.is(s, "after a refused change", s.get(target.id, "after a refused change"), tt.has)
			}
		}
	}
}

// exceeded asks forward-auth with these queries, each of which is over the limit, for the status that each wants. Check
// gets each answer with the seconds that it says to wait.
func (f limitField) exceeded(s *session, key created, queries map[string]int, check func(a answer, seconds float64)) {
	for query, status := range queries {
		a := s.wantCode(status, f.code, request{operation: "forwardAuth", secret: key.secret, query: query, why: "over the " + f.noun})
		if a.status != status {
			continue
		}
		seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
		if err != nil {
			s.fail("%s: Retry-After is %q", a.about, a.header.Get("Retry-After"))
			continue
		}
		check(a, float64(seconds))
	}
}

// wantLimitHeaders checks the rate limit headers: how many calls or units of a policy are left, and that it takes at most
// so many seconds until more are.
func (s *session) wantLimitHeaders(a answer, name, policy string, left, longest int) {
	if got := a.header.Get("RateLimit-Policy"); got != name+policy {
		s.fail("%s: RateLimit-Policy is %q", a.about, got)
	}
	var remaining, reset int
	got := a.header.Get("RateLimit")
	if n, err := fmt.Sscanf(got, name+";r=%d;t=%d", &remaining, &reset); err != nil || n != 2 ||
		remaining != left || reset < 1 || reset > longest {
		s.fail("%s: RateLimit is %q, want %d left", a.about, got, left)
	}
}
