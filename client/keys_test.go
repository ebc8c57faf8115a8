package client_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/client"
	"apikeyd/servertest"
	"apikeyd/store/storetest"
)

func TestLifeOfAKey(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, servertest.Options{Now: clock.Now})
	ctx := t.Context()
	end := clock.Now().Add(48*time.Hour + 123456789*time.Nanosecond).In(time.FixedZone("", 2*60*60))

	created, err := k.admin.Create(ctx, client.NewKey{
		Name: "ci", ExpiresAt: end, Scopes: &[]string{"keys:read", "datasets:read"},
	})
	must(t, err)
	want := client.Key{
		ID: created.ID, Name: "ci", Owner: "admin", Prefix: created.Prefix,
		Scopes: []string{"keys:read", "datasets:read"}, Status: client.StatusActive,
		CreatedAt: clock.Now(), ExpiresAt: end.UTC().Truncate(time.Millisecond),
	}
	if diff := cmp.Diff(want, created.Key); diff != "" {
		t.Error(diff)
	}
	if created.ID == "" || created.Prefix == "" || created.Prefix != created.Secret.Reveal()[:len(created.Prefix)] {
		t.Errorf("id %q, prefix %q", created.ID, created.Prefix)
	}

	// The new key works.
	own := k.as(t, created.Secret.Reveal())
	for _, nameOrID := range []string{"ci", created.ID} {
		got, err := own.Get(ctx, nameOrID)
		must(t, err)
		if diff := cmp.Diff(want, got, cmp.FilterPath(isLastUsed, cmp.Ignore())); diff != "" {
			t.Error(diff)
		}
	}

	want.Name, want.Scopes = "ci/main", []string{"keys:read"}
	want.ExpiresAt = clock.Now().Add(time.Hour)
	got, err := k.admin.Update(ctx, "ci", client.Change{
		Name: new("ci/main"), ExpiresAt: new(clock.Now().Add(time.Hour)), Scopes: &[]string{"keys:read"},
	})
	must(t, err)
	if diff := cmp.Diff(want, got, cmp.FilterPath(isLastUsed, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
	unchanged, err := k.admin.Update(ctx, created.ID, client.Change{})
	must(t, err)
	if diff := cmp.Diff(got, unchanged); diff != "" {
		t.Error(diff)
	}

	clock.Advance(2 * time.Hour)
	got, err = k.admin.Get(ctx, created.ID)
	must(t, err)
	if got.Status != client.StatusExpired {
		t.Errorf("status %s", got.Status)
	}

	revoked, err := k.admin.Revoke(ctx, "ci/main")
	must(t, err)
	if revoked.Status != client.StatusRevoked || !revoked.RevokedAt.Equal(clock.Now()) {
		t.Errorf("%+v", revoked)
	}
	again, err := k.admin.Revoke(ctx, created.ID)
	must(t, err)
	if diff := cmp.Diff(revoked, again); diff != "" {
		t.Error(diff)
	}
	_, err = own.Get(ctx, "ci")
	wantError(t, err, 401, client.CodeCredentialRevoked)
}

func isLastUsed(p cmp.Path) bool { return p.String() == "LastUsedAt" }

func TestLastUsedAt(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, servertest.Options{Now: clock.Now})
	got, err := k.admin.Get(t.Context(), "admin")
	must(t, err)
	if !got.LastUsedAt.IsZero() {
		t.Errorf("last used at %v before it was written", got.LastUsedAt)
	}
	must(t, k.Verifier.Flush(t.Context()))
	got, err = k.admin.Get(t.Context(), "admin")
	must(t, err)
	if !got.LastUsedAt.Equal(clock.Now()) {
		t.Errorf("last used at %v, want %v", got.LastUsedAt, clock.Now())
	}
}

func TestScopesOfANewKey(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	var none []string
	for name, tt := range map[string]struct {
		scopes *[]string
		want   []string
	}{
		"not said":        {nil, []string{"keys:read", "keys:write"}},
		"said to be none": {&[]string{}, []string{}},
		"a nil list":      {&none, []string{}},
		"some":            {&[]string{"b", "a"}, []string{"b", "a"}},
	} {
		created, err := k.admin.Create(t.Context(), client.NewKey{Name: name, ExpiresAt: inAnHour(), Scopes: tt.scopes})
		must(t, err)
		if !slices.Equal(created.Scopes, tt.want) {
			t.Errorf("%s: %q, want %q", name, created.Scopes, tt.want)
		}
	}
	changed, err := k.admin.Update(t.Context(), "some", client.Change{Scopes: &none})
	must(t, err)
	if len(changed.Scopes) != 0 {
		t.Errorf("scopes %q after they were taken away", changed.Scopes)
	}
}

func TestForOwner(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	ctx := t.Context()
	// Owners go into the query, where they have to be encoded too.
	for _, owner := range []string{"customer-42", "a&b=c/d?e#f", "100%", "a+b c", "ключ", "a%2Fb"} {
		theirs := k.admin.ForOwner(owner)
		created, err := theirs.Create(ctx, client.NewKey{Name: "n", ExpiresAt: inAnHour()})
		must(t, err)
		if created.Owner != owner {
			t.Errorf("owner %q, want %q", created.Owner, owner)
		}
		got, err := theirs.Get(ctx, "n")
		must(t, err)
		changed, err := theirs.Update(ctx, "n", client.Change{Name: new("m")})
		must(t, err)
		all, err := names(ctx, theirs, client.ListOptions{})
		must(t, err)
		revoked, err := theirs.Revoke(ctx, "m")
		must(t, err)
		if got.ID != created.ID || changed.ID != created.ID || revoked.ID != created.ID || !slices.Equal(all, []string{"m"}) {
			t.Errorf("%q: got %s, %s, %s and %q, want %s", owner, got.ID, changed.ID, revoked.ID, all, created.ID)
		}
		_, err = theirs.Get(ctx, "admin")
		wantError(t, err, 404, client.CodeKeyNotFound)
		// By id an admin reaches everybody's, unless it named an owner.
		_, err = theirs.ForOwner("").Get(ctx, created.ID)
		must(t, err)
		_, err = k.admin.ForOwner("somebody else").Get(ctx, created.ID)
		wantError(t, err, 404, client.CodeKeyNotFound)
	}
	if got, err := k.admin.Get(ctx, "admin"); err != nil || got.Owner != "admin" {
		t.Errorf("the first client is about %q: %v", got.Owner, err)
	}
}
