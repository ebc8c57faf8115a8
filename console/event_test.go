package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"apikeyd/client"
)

func TestEventsInWords(t *testing.T) {
	t.Parallel()
	early, late := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		name    string
		changes client.AuditChanges
		want    string
	}{
		{"nothing", client.AuditChanges{}, ""},
		{"a name", client.AuditChanges{Name: change(new("a"), new("b"))}, "name: [a] → [b]"},
		{"a new name", client.AuditChanges{Name: change(nil, new("b"))}, "name: → [b]"},
		{"times", client.AuditChanges{ExpiresAt: change(&early, &late), GraceEndsAt: change(&late, nil)},
			"expires: 2026-01-02 03:04:05 UTC → 2027-01-02 03:04:05 UTC; old secret works until: 2027-01-02 03:04:05 UTC →"},
		{"a limit", client.AuditChanges{RateLimit: change(nil, &client.RateLimit{Limit: 1, Window: time.Minute})},
			"rate limit: → [1 call per minute]"},
		{"another limit", client.AuditChanges{RateLimit: change(&client.RateLimit{Limit: 10, Window: 90 * time.Second}, nil)},
			"rate limit: [10 calls per 90 seconds] →"},
		{"a quota", client.AuditChanges{Quota: change(&client.Quota{Limit: 1, Period: client.Day, StartsOn: 1},
			&client.Quota{Limit: 100000, Period: client.Month, StartsOn: 15})},
			"quota: [1 unit per day] → [100000 units per month from day 15]"},
		{"an owner's bound", client.AuditChanges{MaxKeys: change(nil, new(5))}, "most keys: → [5]"},
		{"first scopes", client.AuditChanges{Scopes: change(nil, &[]string{"a", "b"})}, "scopes: → [a b]"},
		{"scopes", client.AuditChanges{Scopes: change(&[]string{"a", "b"}, &[]string{"b", "c"})},
			"scopes added: → [c]; scopes removed: → [a]"},
		{"order", client.AuditChanges{Scopes: change(&[]string{"a", "b"}, &[]string{"b", "a"})},
			"order of scopes: → [b a]"},
		{"metadata", client.AuditChanges{Metadata: change(
			&map[string]string{"a": "1", "b": "2", "c": "3"}, &map[string]string{"b": "2", "c": "4", "d": "5"})},
			"metadata a: [1] →; metadata c: [3] → [4]; metadata d: → [5]"},
		{"before values were recorded", client.AuditChanges{
			Name: change[string](nil, nil), Scopes: change[[]string](nil, nil), Metadata: change[map[string]string](nil, nil)},
			"name: →; scopes: →; metadata: →"},
		{"a suspension", client.AuditChanges{Enabled: change(new(true), new(false))}, "enabled: [yes] → [no]"},
		{"a new key that is suspended", client.AuditChanges{Enabled: change(nil, new(false))}, "enabled: → [no]"},
		{"a new key that works", client.AuditChanges{Enabled: change(nil, new(true))}, ""},
		{"a suspended key that was revoked", client.AuditChanges{RevokedAt: change(nil, &late),
			Enabled: change(new(false), new(true)), RevocationReason: change(nil, new("owner_left"))}, "reason: → [owner left]"},
		{"a notice of an end", client.AuditChanges{Notice: change(nil, &client.Notice{EndsAt: early, ThresholdSeconds: 7 * 86400})},
			"ends: → 2026-01-02 03:04:05 UTC; announced: → [7 days before]"},
		{"a notice of a secret", client.AuditChanges{Notice: change(nil, &client.Notice{SecretSince: early})},
			"secret made: → 2026-01-02 03:04:05 UTC"},
		{"a notice of a quota", client.AuditChanges{Notice: change(nil, &client.Notice{Limit: 5, ResetsAt: late})},
			"starts anew: → 2027-01-02 03:04:05 UTC; quota: → [5 units]"},
		{"a notice of a network", client.AuditChanges{Notice: change(nil, &client.Notice{Network: "192.0.2.0/24"})}, "network: → [192.0.2.0/24]"},
		{"what the event says itself", client.AuditChanges{RevokedAt: change(nil, &late)}, ""},
	} {
		v := &visit{now: late}
		if got := inText(v.changes(test.changes)); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

func change[T any](from, to *T) *client.AuditChange[T] {
	return &client.AuditChange[T]{From: from, To: to}
}

func inText(changes []fieldChange) string {
	value := func(t *changeValue) string {
		switch {
		case t == nil:
			return ""
		case t.Time.Known:
			return " " + t.Time.Exact
		}
		return fmt.Sprint(" ", t.Words)
	}
	var all []string
	for _, c := range changes {
		all = append(all, c.Field+":"+value(c.From)+" →"+value(c.To))
	}
	return strings.Join(all, "; ")
}

// Nobody caused a notice.
func TestNoticesInWords(t *testing.T) {
	t.Parallel()
	says := change(nil, &client.Notice{Limit: 5})
	v := &visit{now: time.Now()}
	for _, test := range []struct {
		event client.AuditEvent
		did   string
		owner bool
	}{
		{client.AuditEvent{Action: client.AuditExpiring, KeyID: "k", Name: "ci"}, "Notice: expires soon", false},
		{client.AuditEvent{Action: client.AuditQuota, KeyID: "k", Name: "ci"}, "Notice: quota used up", false},
		{client.AuditEvent{Action: client.AuditQuota, KeyID: "00000000-0000-0000-0000-000000000000", Name: "acme"}, "Notice: quota used up", true},
		{client.AuditEvent{Action: client.AuditNewNetwork, KeyID: "k", Name: "ci", Actor: "k"}, "Notice: used from a new network", false},
	} {
		test.event.Changes.Notice = says
		if test.event.Actor == "" {
			test.event.Actor = client.AuditOperator
		}
		got := v.events([]client.AuditEvent{test.event}, "")[0]
		if got.Did != test.did || got.OfOwner() != test.owner || (got.Key == nil) != test.owner || got.By != nil || got.ByOperator() {
			t.Errorf("%s is %+v", test.event.Action, got)
		}
	}
}
