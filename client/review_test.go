package client_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store/storetest"
)

// A key is reviewed, and its proposal applied.
func TestReview(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, servertest.Options{Now: clock.Now})
	ctx, team := t.Context(), k.admin.ForOwner("team")
	created, err := team.Create(ctx, client.NewKey{Name: "a/b", ExpiresAt: clock.Now().Add(time.Hour), Scopes: &[]string{"x", "y"}})
	must(t, err)
	_, err = k.admin.VerifyCall(ctx, client.Call{Secret: created.Secret.Reveal(), Scopes: []string{"x"}, ClientAddress: "192.0.2.7"})
	must(t, err)

	today := clock.Now().Format(time.DateOnly)
	want := client.Review{
		Since:    clock.Now().Truncate(24*time.Hour).AddDate(0, 0, -30),
		Scopes:   []client.ReviewedScope{{Scope: "x", LastAskedOn: today}, {Scope: "y"}},
		Networks: []client.ReviewedNetwork{{Network: "192.0.2.0/24", LastUsedOn: today}},
		Proposal: client.Change{Scopes: &[]string{"x"}, AllowedCIDRs: &[]string{"192.0.2.0/24"}},
	}
	got, err := team.Review(ctx, "a/b")
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the review differs (-want +got):\n%s", diff)
	}
	_, err = team.Update(ctx, "a/b", got.Proposal)
	must(t, err)
	got, err = k.admin.Review(ctx, created.ID)
	must(t, err)
	if diff := cmp.Diff(client.Change{}, got.Proposal); diff != "" {
		t.Errorf("the narrower key should be narrower (-want +got):\n%s", diff)
	}
	_, err = team.Review(ctx, "..")
	wantError(t, err, 404, client.CodeKeyNotFound)
}
