package handlers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// wantQuota expects a verdict with this state of the quota.
func (k *kit) wantQuota(what, code string, remaining int, answer response) {
	k.Helper()
	got := decode[verdict](answer.want(200))
	const resets = "2026-12-01T00:00:00.000Z"
	if got.Code != code || got.Quota == nil || got.Quota.Remaining != remaining || got.Quota.ResetsAt != resets {
		k.Errorf("%s: %s, want %s and %d left until %s", what, answer.raw, code, remaining, resets)
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.clock.Advance(-k.clock.Now().Sub(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)))
	made := k.mustCreate(k.admin, fields{"name": "customer", "expires_at": k.in(48 * time.Hour),
		"quota": fields{"limit": 10, "period": "month"}})
	path := keyPath(made.ID)
	k.wantQuota("the first", "VALID", 9, k.ask(k.admin, made.Secret))
	k.wantQuota("a cost", "VALID", 5, k.askAt(k.admin, made.Secret, 4))
	k.wantQuota("the highest cost", "QUOTA_EXCEEDED", 5, k.askAt(k.admin, made.Secret, 1_000_000))
	k.wantQuota("too costly", "QUOTA_EXCEEDED", 5, k.askAt(k.admin, made.Secret, 6))
	if wait := decode[verdict](k.askAt(k.admin, made.Secret, 6)).RetryAfterSeconds; wait != 12*60*60 {
		k.Errorf("retry after %d s", wait)
	}
	k.clock.Advance(time.Second)
	k.wantQuota("what fits", "VALID", 0, k.askAt(k.admin, made.Secret, 5))
	k.wantQuota("a free call", "VALID", 0, k.askAt(k.admin, made.Secret, 0))
	k.wantQuota("no more", "QUOTA_EXCEEDED", 0, k.ask(k.admin, made.Secret))
	k.patch(k.admin, path, fields{"quota": fields{"limit": 12, "period": "month"}}).want(200)
	k.wantQuota("a higher limit keeps what was used", "VALID", 1, k.ask(k.admin, made.Secret))
	k.patch(k.admin, path, fields{"quota": nil}).want(200)
	if got := decode[verdict](k.ask(k.admin, made.Secret)); got.Code != "VALID" || got.Quota != nil {
		k.Errorf("without a quota: %+v", got)
	}
	k.patch(k.admin, path, fields{"quota": fields{"limit": 12, "period": "month", "starts_on": 1}}).want(200)
	k.wantQuota("it is remembered", "VALID", 0, k.ask(k.admin, made.Secret))
	k.clock.Advance(12 * time.Hour)
	if got := decode[verdict](k.ask(k.admin, made.Secret)); got.Code != "VALID" || got.Quota.Remaining != 11 {
		k.Errorf("in the next period: %+v", got)
	}
}

// Neither refusals nor introspection use up a quota; a call over the rate limit gives back what it took.
func TestRefusalsUseUpNoQuota(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "customer", "scopes": []string{"a"},
		"quota": fields{"limit": 3, "period": "month"}, "rate_limit": fields{"limit": 1, "window_seconds": 60}})
	k.wantQuota("the first", "VALID", 2, k.ask(k.admin, made.Secret, "a"))
	for range 5 {
		k.wantVerdict("INSUFFICIENT_SCOPE", 0, k.ask(k.admin, made.Secret, "b"))
		k.wantVerdict("NOT_FOUND", 0, k.ask(k.admin, mistyped(made.Secret)))
		k.introspect(k.admin, made.Secret).want(200)
		k.wantQuota("over the rate limit", "RATE_LIMITED", 2, k.ask(k.admin, made.Secret))
		k.wantQuota("over both: the quota comes first", "QUOTA_EXCEEDED", 2, k.askAt(k.admin, made.Secret, 3))
	}
	k.clock.Advance(time.Minute)
	k.wantQuota("what was given back", "VALID", 0, k.askAt(k.admin, made.Secret, 2))
}

func TestForwardAuthQuota(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "customer", "quota": fields{"limit": 100, "period": "month"},
		"rate_limit": fields{"limit": 50, "window_seconds": 60}})
	only := k.mustCreate(k.admin, fields{"name": "only", "quota": fields{"limit": 5, "period": "month"}})
	answer := k.forward(made.Secret, "?cost=10").want(200)
	answer.wantHeader("RateLimit-Policy", `"key";q=50;w=60, "quota";q=100`)
	answer.wantHeader("RateLimit", `"key";r=49;t=2, "quota";r=90;t=648000`)
	k.forward(made.Secret, "?cost=91").refused(403, "QUOTA_EXCEEDED")
	k.forward(only.Secret, "").want(200).wantHeader("RateLimit", `"quota";r=4;t=648000`)
	for query, status := range map[string]int{
		"?cost=5": 403, "?cost=5&rate_limited=429": 429,
		"?cost=1&cost=5": 403, "?cost=5&cost=1": 403, // the highest counts
	} {
		answer := k.forward(only.Secret, query)
		answer.refused(status, "QUOTA_EXCEEDED")
		answer.wantHeader("Retry-After", "648000")
	}
	for _, query := range []string{"?cost=0", "?cost=-1", "?cost=", "?cost", "?cost=1000001", "?cost=1.5", "?cost=1&cost=x", "?cost=%31%31"} {
		k.Run(query, func(k *kit) {
			k.do(request{path: forwardPath + query, key: only.Secret, foreign: true}).refused(403, "FORBIDDEN")
		})
	}
	k.forward(only.Secret, "?cost=4").want(200)
}

// Only an admin may set a quota; a key's own keys have its quota.
func TestQuotaAuthority(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	writer := k.mustCreate(k.admin, fields{"name": "writer", "owner": "team", "scopes": []string{"keys:read", "keys:write"},
		"quota": fields{"limit": 5, "period": "week", "starts_on": 3}})
	child := k.create(writer, fields{"name": "child"}).want(201)
	if got := string(child.raw); !strings.Contains(got, `"quota":{"limit":5,"period":"week","starts_on":3}`) {
		k.Errorf("the new key is %s", got)
	}
	for _, quota := range []any{nil, fields{"limit": 6, "period": "week", "starts_on": 3}} {
		k.create(writer, fields{"name": "another", "quota": quota}).refused(403, "FORBIDDEN")
		k.patch(writer, keyPath("child"), fields{"quota": quota}).refused(403, "FORBIDDEN")
	}
	k.patch(writer, keyPath("child"), fields{"quota": fields{"limit": 5, "period": "week", "starts_on": 3}}).want(200)
}

// The usage of a key says what is left of its quota. Asking for it uses nothing.
func TestUsageOfQuota(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.clock.Advance(-k.clock.Now().Sub(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)))
	made := k.mustCreate(k.admin, fields{"name": "customer", "expires_at": k.in(48 * time.Hour),
		"quota": fields{"limit": 10, "period": "month"}})
	left := func() []any {
		t.Helper()
		usage := decode[struct{ Quota map[string]any }](k.get(k.admin, keyUsagePath(made.ID)).want(200))
		return []any{usage.Quota["remaining"], usage.Quota["resets_at"]}
	}
	want := func(what string, want ...any) {
		t.Helper()
		for range 2 {
			if got := left(); fmt.Sprint(got...) != fmt.Sprint(want...) {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
	}
	want("never used", 10, "2026-12-01T00:00:00.000Z")
	k.askAt(k.admin, made.Secret, 7).want(200)
	want("used", 3, "2026-12-01T00:00:00.000Z")
	k.patch(k.admin, keyPath(made.ID), fields{"quota": fields{"limit": 5, "period": "month"}}).want(200)
	want("over a lower limit", 0, "2026-12-01T00:00:00.000Z")
	k.clock.Advance(12 * time.Hour)
	want("the next period", 5, "2027-01-01T00:00:00.000Z")
	k.patch(k.admin, keyPath(made.ID), fields{"quota": nil}).want(200)
	want("no quota", nil, nil)
}
