package client_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
)

func TestImport(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	ctx, ends := t.Context(), time.Date(2040, 1, 31, 12, 0, 0, 0, time.FixedZone("", 3600))
	digest := sha256.Sum256([]byte("legacy-secret-0002"))
	keys := []client.ImportedKey{
		{
			Name: "clear", Owner: "acme", ExpiresAt: ends, Secret: "legacy-secret-0001", Scopes: []string{"datasets:read"},
			Metadata: map[string]string{"plan": "pro"}, RateLimit: client.RateLimit{Limit: 9, Window: time.Minute},
			Quota: client.Quota{Limit: 7, Period: client.Day}, AllowedCIDRs: []string{"127.0.0.0/8"},
		},
		{Name: "hash", Owner: "acme", ExpiresAt: ends, Scheme: client.SchemeSHA256, Hash: hex.EncodeToString(digest[:]), Enabled: new(false)},
		{Name: "past", Owner: "acme", ExpiresAt: time.Unix(0, 0), Secret: "legacy-secret-0003"},
		{Name: "clear", Owner: "acme", ExpiresAt: ends, Secret: "legacy-secret-0004"},
	}
	want := func(outcome client.ImportOutcome) []client.ImportedRow {
		return []client.ImportedRow{
			{Row: 0, Outcome: outcome}, {Row: 1, Outcome: outcome},
			{Row: 2, Outcome: client.ImportInvalid, Field: "expires_at"}, {Row: 3, Outcome: client.ImportConflict, Field: "name"},
		}
	}
	var last []client.ImportedRow
	for _, step := range []struct {
		dryRun  bool
		outcome client.ImportOutcome
	}{{true, client.ImportCreated}, {false, client.ImportCreated}, {false, client.ImportExists}} {
		got, err := k.admin.Import(ctx, keys, step.dryRun)
		must(t, err)
		if diff := cmp.Diff(want(step.outcome), got, cmpopts.IgnoreFields(client.ImportedRow{}, "ID", "Message")); diff != "" {
			t.Errorf("dry run: %t: the rows differ (-want +got):\n%s", step.dryRun, diff)
		}
		last = got
	}
	got, err := k.admin.Get(ctx, last[0].ID)
	must(t, err)
	if !got.ForeignSecret || !got.ExpiresAt.Equal(ends) || got.RateLimit != keys[0].RateLimit || got.Quota.Limit != 7 ||
		!cmp.Equal(got.Metadata, keys[0].Metadata) || !cmp.Equal(got.Scopes, keys[0].Scopes) || !cmp.Equal(got.AllowedCIDRs, keys[0].AllowedCIDRs) {
		t.Errorf("the key is %+v", got)
	}
	verified, err := k.admin.VerifyCall(ctx, client.Call{Secret: "legacy-secret-0001", ClientAddress: "127.0.0.1"})
	must(t, err)
	if !verified.Valid() {
		t.Errorf("the secret is %s", verified.Code)
	}
	found := 0
	for key, err := range k.admin.ForOwner("acme").List(ctx, client.ListOptions{Foreign: true}) {
		must(t, err)
		found++
		if key.Name == "hash" && !key.IsSuspended() {
			t.Error("the second key is not suspended")
		}
	}
	if found != 2 {
		t.Errorf("the filter finds %d keys, want 2", found)
	}
	events, err := k.admin.AuditPage(ctx, client.AuditOptions{KeyID: last[0].ID})
	must(t, err)
	if len(events.Events) != 1 || events.Events[0].Changes.Imported == nil || events.Events[0].Changes.Imported.To == nil {
		t.Errorf("the audit log has %+v", events.Events)
	}

	_, err = k.admin.Import(ctx, []client.ImportedKey{keys[0], {Name: "", ExpiresAt: ends, Secret: "legacy-secret-0005"}}, false)
	wantError(t, err, 400, client.CodeInvalidRequest)
	if !strings.Contains(err.Error(), "keys.1.name") || strings.Contains(err.Error(), "legacy-secret") {
		t.Errorf("error is %v", err)
	}
}
