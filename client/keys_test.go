package client_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store/storetest"
)

func TestKeyLifecycle(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, servertest.Options{Now: clock.Now})
	ctx := t.Context()
	end := clock.Now().Add(48*time.Hour + 123456789*time.Nanosecond).In(time.FixedZone("", 2*60*60))

	created, err := k.admin.Create(ctx, client.NewKey{
		Name: "ci", ExpiresAt: end, Scopes: &[]string{"keys:read", "datasets:read"},
		Metadata: map[string]string{"plan": "<pro> & \"more\"", "ключ": ""},
	})
	must(t, err)
	want := client.Key{
		ID: created.ID, Name: "ci", Owner: "admin", Prefix: created.Prefix,
		Scopes: []string{"keys:read", "datasets:read"}, Status: client.StatusActive,
		Metadata:  map[string]string{"plan": "<pro> & \"more\"", "ключ": ""},
		CreatedAt: clock.Now(), ExpiresAt: end.UTC().Truncate(time.Millisecond), Enabled: true,
	}
	if diff := cmp.Diff(want, created.Key, ignoreETag); diff != "" {
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
		if diff := cmp.Diff(want, got, cmp.FilterPath(isLastUsed, cmp.Ignore()), ignoreETag); diff != "" {
			t.Error(diff)
		}
	}

	want.Name, want.Scopes = "ci/main", []string{"keys:read"}
	want.ExpiresAt = clock.Now().Add(time.Hour)
	got, err := k.admin.Update(ctx, "ci", client.Change{
		Name: new("ci/main"), ExpiresAt: new(clock.Now().Add(time.Hour)), Scopes: &[]string{"keys:read"},
	})
	must(t, err)
	if diff := cmp.Diff(want, got, cmp.FilterPath(isLastUsed, cmp.Ignore()), ignoreETag); diff != "" {
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
	must(t, k.Verifier.Keys.Flush(t.Context()))
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
		t.Errorf("scopes %q after they were removed", changed.Scopes)
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	ctx := t.Context()
	created, err := k.admin.Create(ctx, client.NewKey{Name: "n", ExpiresAt: inAnHour(), Metadata: map[string]string{}})
	must(t, err)
	if len(created.Metadata) != 0 {
		t.Errorf("metadata %q", created.Metadata)
	}
	var none map[string]string
	for _, tt := range []struct {
		name   string
		change client.Change
		want   map[string]string
	}{
		{"set", client.Change{Metadata: &map[string]string{"a": "1", "b": "2"}}, map[string]string{"a": "1", "b": "2"}},
		{"left alone", client.Change{Name: new("m")}, map[string]string{"a": "1", "b": "2"}},
		{"replaced whole", client.Change{Metadata: &map[string]string{"c": "3"}}, map[string]string{"c": "3"}},
		{"a nil map", client.Change{Metadata: &none}, map[string]string{}},
	} {
		changed, err := k.admin.Update(ctx, created.ID, tt.change)
		must(t, err)
		if diff := cmp.Diff(tt.want, changed.Metadata); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	ctx := t.Context()
	pro, none := client.RateLimit{Limit: 100, Window: time.Minute}, client.RateLimit{}
	create := func(c *client.Client, name string, limit *client.RateLimit) client.CreatedKey {
		t.Helper()
		created, err := c.Create(ctx, client.NewKey{Name: name, ExpiresAt: inAnHour(), RateLimit: limit})
		must(t, err)
		return created
	}
	wantLimit := func(key client.Key, want client.RateLimit) {
		t.Helper()
		if key.RateLimit != want {
			t.Errorf("%s: the limit is %v, want %v", key.Name, key.RateLimit, want)
		}
	}
	limited := create(k.admin, "limited", &pro)
	wantLimit(limited.Key, pro)
	child := create(k.as(t, limited.Secret.Reveal()), "inherits", nil)
	wantLimit(child.Key, pro)
	wantLimit(create(k.admin, "admins have none", nil).Key, none)
	wantLimit(create(k.admin, "said to have none", &none).Key, none)

	change := func(limit *client.RateLimit) client.Key {
		t.Helper()
		changed, err := k.admin.Update(ctx, child.ID, client.Change{RateLimit: limit})
		must(t, err)
		return changed
	}
	other := client.RateLimit{Limit: 1, Window: 24 * time.Hour}
	wantLimit(change(&other), other)
	wantLimit(change(nil), other)
	wantLimit(change(&none), none)

	// A key cannot remove its own limit.
	_, err := k.as(t, limited.Secret.Reveal()).Update(ctx, limited.ID, client.Change{RateLimit: &none})
	wantError(t, err, 403, client.CodeForbidden)
	for _, bad := range []client.RateLimit{{Limit: 1}, {Window: time.Second}, {Limit: -1, Window: time.Second}} {
		_, err := k.admin.Update(ctx, child.ID, client.Change{RateLimit: &bad})
		wantError(t, err, 400, client.CodeInvalidRequest)
	}
	// 0.5 s would otherwise become 0, and 1.5 s another limit.
	half := client.RateLimit{Limit: 1, Window: 1500 * time.Millisecond}
	_, err = k.admin.Update(ctx, child.ID, client.Change{RateLimit: &half})
	wantPlain(t, err)
	_, err = k.admin.Create(ctx, client.NewKey{Name: "half", ExpiresAt: inAnHour(), RateLimit: &half})
	wantPlain(t, err)
}

func TestForOwner(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	ctx := t.Context()
	// Owners are sent in the query, where they must be encoded too.
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
		// By id an admin reaches every owner's key, unless an owner is set.
		_, err = theirs.ForOwner("").Get(ctx, created.ID)
		must(t, err)
		_, err = k.admin.ForOwner("somebody else").Get(ctx, created.ID)
		wantError(t, err, 404, client.CodeKeyNotFound)
	}
	if got, err := k.admin.Get(ctx, "admin"); err != nil || got.Owner != "admin" {
		t.Errorf("the first client is about %q: %v", got.Owner, err)
	}
}

func TestSuspend(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	ctx := t.Context()
	created, err := k.admin.Create(ctx, client.NewKey{Name: "n", ExpiresAt: inAnHour(), Enabled: new(false)})
	must(t, err)
	want := func(key client.Key, err error, suspended bool) {
		t.Helper()
		must(t, err)
		if key.IsSuspended() != suspended || key.Enabled == suspended || !key.RevokedAt.IsZero() {
			t.Errorf("suspended: %t, want %t: %+v", key.IsSuspended(), suspended, key)
		}
	}
	want(created.Key, nil, true)
	key, err := k.admin.Resume(ctx, "n")
	want(key, err, false)
	key, err = k.admin.Suspend(ctx, "n")
	want(key, err, true)
	_, err = k.as(t, created.Secret.Reveal()).Get(ctx, "n")
	wantError(t, err, 401, client.CodeCredentialDisabled)
	key, err = k.admin.RevokeFor(ctx, "n", client.ReasonSuperseded)
	must(t, err)
	if key.IsSuspended() || key.RevocationReason != client.ReasonSuperseded {
		t.Errorf("the revoked key is %+v", key)
	}
	_, err = k.admin.RevokeFor(ctx, "n", "boredom")
	wantError(t, err, 400, client.CodeInvalidRequest)
	_, err = k.admin.Suspend(ctx, "n")
	wantError(t, err, 409, client.CodeKeyRevoked)
}

// ignoreETag is for comparing keys of answers that have no ETag.
var ignoreETag = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".ETag" }, cmp.Ignore())

// Of two callers that read the same key, one changes it.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	ctx := t.Context()
	created, err := k.admin.Create(ctx, client.NewKey{Name: "n", ExpiresAt: time.Now().Add(time.Hour)})
	must(t, err)
	read, err := k.admin.Get(ctx, "n")
	must(t, err)
	if read.ETag == "" || read.ETag != created.ETag {
		t.Errorf("the ETags are %q and %q", created.ETag, read.ETag)
	}
	mine, theirs := k.admin.IfMatch(read.ETag), k.admin.ForOwner("admin").IfMatch(read.ETag)
	changed, err := mine.Update(ctx, read.ID, client.Change{Metadata: &map[string]string{"by": "me"}})
	must(t, err)
	_, err = theirs.Update(ctx, "n", client.Change{Metadata: &map[string]string{"by": "them"}})
	wantError(t, err, 412, client.CodeKeyChanged)
	_, err = theirs.Rotate(ctx, "n", 0)
	wantError(t, err, 412, client.CodeKeyChanged)
	_, err = theirs.Revoke(ctx, read.ID)
	wantError(t, err, 412, client.CodeKeyChanged)
	rotated, err := mine.IfMatch(changed.ETag).Rotate(ctx, "n", 0)
	must(t, err)
	if rotated.RotatedAt.IsZero() || rotated.Metadata["by"] != "me" {
		t.Errorf("after the rotation the key is %+v", rotated.Key)
	}
	_, err = mine.IfMatch("").Revoke(ctx, "n")
	must(t, err)
}
