package apikey_test

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
)

func wantDifferences(t *testing.T, got apikey.Differences, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("the differences (-want +got):\n%s", diff)
	}
}

// TestDifferencesAreCanonical compares appended JSON with a library's canonical form.
func TestDifferencesAreCanonical(t *testing.T) {
	const odd = "<&>\u2028\u2029\"\\/\b\f\n\r\t\x00\x1f\x7fé\U0001F511"
	plain := apikey.Settings{Name: "n", Scopes: apikey.Scopes{}, Metadata: apikey.Metadata{}, ExpiresAt: noon}
	full := apikey.Settings{
		Name: odd, Scopes: apikey.Scopes{"a", "<b>"}, ExpiresAt: noon.Add(time.Millisecond),
		Metadata:  apikey.Metadata{odd: odd, "\uffff": "", "\U0001F511": "", "a": "", "": "b"},
		RateLimit: apikey.RateLimit{Limit: 1_000_000, Window: 24 * time.Hour}, Suspended: true,
	}
	for _, tt := range []struct {
		before *apikey.Key
		after  apikey.Key
	}{
		{nil, apikey.Key{Settings: plain}},
		{&apikey.Key{Settings: plain}, apikey.Key{Settings: full, RevokedAt: noon}},
		{&apikey.Key{Settings: plain}, apikey.Key{Settings: full}.Revoke(noon, apikey.ReasonPolicy)},
		{&apikey.Key{Settings: full, OldSecretUntil: noon.Add(time.Hour)}, apikey.Key{Settings: plain}},
		{&apikey.Key{Settings: full}, apikey.Key{Settings: full}},
	} {
		got := tt.after.Difference(tt.before, noon.Add(-time.Hour))
		want := map[string]map[string]any{}
		for field, to := range valuesOf(tt.after) {
			var from any
			if tt.before != nil {
				from = valuesOf(*tt.before)[field]
			}
			if cmp.Equal(from, to) {
				continue
			}
			want[field] = map[string]any{}
			if from != nil {
				want[field]["from"] = from
			}
			if to != nil {
				want[field]["to"] = to
			}
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		canonical := jsontext.Value(text)
		if err := canonical.Canonicalize(); err != nil {
			t.Fatal(err)
		}
		wantDifferences(t, got, string(canonical))
		var read apikey.Differences
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		wantDifferences(t, read, string(canonical))
	}
	var nulls apikey.Differences
	if err := json.Unmarshal([]byte(`{"revoked_at":{"from":null,"to":"2030-01-31T12:00:00.000Z"},"scopes":{"from":null,"to":null}}`), &nulls); err != nil {
		t.Fatal(err)
	}
	wantDifferences(t, nulls, `{"revoked_at":{"to":"2030-01-31T12:00:00.000Z"},"scopes":{}}`)
	unknown := apikey.Differences{{Field: "name"}, {Field: "scopes"}}
	wantDifferences(t, unknown, `{"name":{},"scopes":{}}`)
}

// valuesOf returns the recorded fields of a key; nil is absent.
func valuesOf(k apikey.Key) map[string]any {
	values := map[string]any{
		"name": k.Name, "scopes": k.Scopes, "metadata": k.Metadata, "expires_at": apikey.Timestamp(k.ExpiresAt),
		"rate_limit": nil, "revoked_at": nil, "grace_ends_at": nil, "enabled": !k.Suspended, "revocation_reason": nil,
	}
	if !k.RateLimit.IsNone() {
		values["rate_limit"] = k.RateLimit
	}
	if !k.RevokedAt.IsZero() {
		values["revoked_at"], values["revocation_reason"] = apikey.Timestamp(k.RevokedAt), "unspecified"
		if k.RevocationReason != "" {
			values["revocation_reason"] = k.RevocationReason
		}
	}
	if end := k.GraceEnd(noon.Add(-time.Hour)); !end.IsZero() {
		values["grace_ends_at"] = apikey.Timestamp(end)
	}
	return values
}
