package keyfield_test

import (
	"testing"
	"time"

	"apikeyd/client"
	"apikeyd/internal/keyfield"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 600_999_999, time.FixedZone("", 2*60*60))
	for _, test := range []struct {
		value any
		want  string
	}{
		{
			client.Key{Name: "<ci> & \u2028", ExpiresAt: at, Enabled: true},
			`{"id":"","name":"<ci> & ` + "\u2028" + `","owner":"","prefix":"","scopes":[],"metadata":{},"status":"",` +
				`"created_at":"0001-01-01T00:00:00.000Z","expires_at":"2026-01-02T01:04:05.600Z","enabled":true}`,
		},
		{
			client.Key{Metadata: map[string]string{"b": "2", "a": "1"}, RateLimit: client.RateLimit{Limit: 5, Window: time.Minute},
				Quota: client.Quota{Limit: 9, Period: client.Week, StartsOn: 2}, RevokedAt: at},
			`{"id":"","name":"","owner":"","prefix":"","scopes":[],"metadata":{"a":"1","b":"2"},` +
				`"rate_limit":{"limit":5,"window_seconds":60},"quota":{"limit":9,"period":"week","starts_on":2},"status":"",` +
				`"created_at":"0001-01-01T00:00:00.000Z","expires_at":"0001-01-01T00:00:00.000Z","revoked_at":"2026-01-02T01:04:05.600Z","enabled":false}`,
		},
		{
			client.AuditChanges{
				GraceEndsAt: &client.AuditChange[time.Time]{From: &at},
				RateLimit:   &client.AuditChange[client.RateLimit]{To: &client.RateLimit{Limit: 1, Window: time.Second}},
				Name:        &client.AuditChange[string]{},
			},
			`{"name":{},"rate_limit":{"to":{"limit":1,"window_seconds":1}},"grace_ends_at":{"from":"2026-01-02T01:04:05.600Z"}}`,
		},
	} {
		if got, err := keyfield.JSON(test.value); string(got) != test.want || err != nil {
			t.Errorf("%v\n got %s\nwant %s", err, got, test.want)
		}
	}
}
