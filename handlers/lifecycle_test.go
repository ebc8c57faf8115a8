package handlers_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apikeyd/apikey"
)

func TestLifecycle(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	answer := k.create(k.admin, fields{"name": "ci", "expires_at": "2030-01-31T12:00:00Z",
		"owner": "team", "scopes": []string{"keys:read", "keys:write"}}).want(201)
	made := answer.key()
	want := key{
		ID: made.ID, Name: "ci", Owner: "team", Scopes: []string{"keys:read", "keys:write"}, Status: "ACTIVE",
		Metadata: map[string]string{},
		Prefix:   made.Secret[:11], CreatedAt: "2026-11-23T12:00:00.000Z", ExpiresAt: "2030-01-31T12:00:00.000Z",
		Secret: made.Secret, Enabled: true,
	}
	if diff := cmp.Diff(want, made); diff != "" {
		k.Fatalf("the new key differs (-want +got):\n%s", diff)
	}
	if secret, err := apikey.ParseSecret(made.Secret); err != nil || secret.ID().String() != made.ID {
		k.Errorf("the secret is not that of %s: %v", made.ID, err)
	}
	answer.wantHeader("Location", keysPath+"/"+made.ID)

	// No later answer holds the secret, and the secret works.
	want.Secret = ""
	location := answer.header.Get("Location")
	for name, read := range map[string]response{
		"location": k.get(k.admin, location),
		"id":       k.get(made, keyPath(made.ID)),
		"capitals": k.get(made, keyPath(strings.ToUpper(made.ID))),
		"name":     k.get(made, keyPath("ci")),
		"no-op":    k.patch(made, keyPath("ci"), fields{}),
		"own name": k.patch(made, keyPath("ci"), fields{"name": "ci"}),
	} {
		if diff := cmp.Diff(want, read.want(200).key()); diff != "" {
			k.Errorf("%s: the key differs (-want +got):\n%s", name, diff)
		}
	}

	want.Name, want.ExpiresAt, want.Scopes = "ci-2", "2031-01-31T12:00:00.000Z", []string{"keys:write"}
	changed := k.patch(made, keyPath("ci"), fields{"name": "ci-2", "expires_at": "2031-01-31T13:00:00+01:00",
		"scopes": []string{"keys:write"}}).want(200).key()
	if diff := cmp.Diff(want, changed); diff != "" {
		k.Errorf("the changed key differs (-want +got):\n%s", diff)
	}
	k.get(k.admin, keyPath("ci")+"?owner=team").refused(404, "KEY_NOT_FOUND")
	k.get(k.admin, location).want(200)

	k.clock.Advance(time.Hour)
	want.Status, want.RevokedAt, want.Reason = "REVOKED", "2026-11-23T13:00:00.000Z", "unspecified"
	first := k.revoke(k.admin, location).want(200)
	if diff := cmp.Diff(want, first.key()); diff != "" {
		k.Errorf("the revoked key differs (-want +got):\n%s", diff)
	}
	k.clock.Advance(time.Hour)
	second := k.revoke(k.admin, keyPath("ci-2")+"?owner=team").want(200)
	if diff := cmp.Diff(string(first.raw), string(second.raw)); diff != "" {
		k.Errorf("the second DELETE answers otherwise (-first +second):\n%s", diff)
	}
	k.get(made, keysPath).refused(401, "CREDENTIAL_REVOKED")
}

func TestSeedBodyIsEnough(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.do(request{method: "POST", path: keysPath, key: k.admin.Secret,
		body: `{"name":"seed","expires_at":"2030-01-31T12:00:00Z"}`}).want(201).key()
	if made.Owner != "admin" || !cmp.Equal(made.Scopes, []string{"keys:read", "keys:write"}) {
		k.Errorf("owner %q, scopes %v", made.Owner, made.Scopes)
	}
}

func TestChangeOnlyWhatIsPresent(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "n", "scopes": []string{"a", "b"}, "expires_at": k.in(time.Hour)})
	tests := []struct {
		name   string
		change fields
		want   func(*key)
	}{
		{"nothing", fields{}, func(*key) {}},
		{"name", fields{"name": "m"}, func(k *key) { k.Name = "m" }},
		{"expires_at", fields{"expires_at": "2030-01-31T12:00:00Z"}, func(k *key) { k.ExpiresAt = "2030-01-31T12:00:00.000Z" }},
		{"scopes", fields{"scopes": []string{"c"}}, func(k *key) { k.Scopes = []string{"c"} }},
		{"no scopes", fields{"scopes": []string{}}, func(k *key) { k.Scopes = []string{} }},
	}
	for _, tt := range tests {
		k.Run(tt.name, func(k *kit) {
			want := k.get(k.admin, keyPath(made.ID)).want(200).key()
			tt.want(&want)
			got := k.patch(k.admin, keyPath(made.ID), tt.change).want(200).key()
			if diff := cmp.Diff(want, got); diff != "" {
				k.Errorf("the key differs (-want +got):\n%s", diff)
			}
		})
	}
	// One invalid field refuses the whole change.
	before := k.everything()
	k.patch(k.admin, keyPath(made.ID), fields{"name": "good", "expires_at": "2020-01-31T12:00:00Z"}).invalid("expires_at")
	if diff := cmp.Diff(before, k.everything()); diff != "" {
		k.Errorf("half a change was made (-before +after):\n%s", diff)
	}
}

func TestNamesAreUniqueAmongLivingKeys(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	first := k.mustCreate(k.admin, fields{"name": "n"})
	other := k.mustCreate(k.admin, fields{"name": "other"})
	k.create(k.admin, fields{"name": "n"}).refused(409, "NAME_TAKEN")
	k.patch(k.admin, keyPath("other"), fields{"name": "n"}).refused(409, "NAME_TAKEN")
	k.create(k.admin, fields{"name": "n", "owner": "team"}).want(201)
	k.create(k.admin, fields{"name": "N"}).want(201)

	// An expired key keeps its name, a revoked one does not.
	k.clock.Advance(2 * time.Hour)
	k.create(k.admin, fields{"name": "n"}).refused(409, "NAME_TAKEN")
	k.revoke(k.admin, keyPath("n")).want(200)
	k.wantNamed(first.ID)
	k.clock.Advance(time.Second)
	second := k.mustCreate(k.admin, fields{"name": "n"})
	k.wantNamed(second.ID)
	k.revoke(k.admin, keyPath("n")).want(200)
	k.wantNamed(second.ID) // of the revoked ones, the latest
	k.clock.Advance(time.Second)
	k.patch(k.admin, keyPath("other"), fields{"name": "n"}).want(200)
	k.wantNamed(other.ID)
	k.clock.Advance(time.Second)
	k.revoke(k.admin, keyPath("n")).want(200)
	k.wantNamed(other.ID) // the oldest of the three, and the last that was revoked
}

// wantNamed expects that the name n finds the key with this id.
func (k *kit) wantNamed(id string) {
	k.Helper()
	if got := k.get(k.admin, keyPath("n")).want(200).key().ID; got != id {
		k.Errorf("n names %s, want %s", got, id)
	}
}

func TestExpiredKeyCanBeProlonged(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "n", "expires_at": k.in(time.Hour)})
	k.clock.Advance(time.Hour)
	k.get(made, keysPath).refused(401, "CREDENTIAL_EXPIRED")
	if got := k.patch(k.admin, keyPath("n"), fields{"name": "m"}).want(200).key().Status; got != "EXPIRED" {
		k.Errorf("%s after a rename", got)
	}
	if got := k.patch(k.admin, keyPath("m"), fields{"expires_at": k.in(time.Hour)}).want(200).key().Status; got != "ACTIVE" {
		k.Errorf("%s after it was extended", got)
	}
	k.get(made, keysPath).want(200)
}

func TestRevokedKeyCannotBeChanged(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "n"})
	k.revoke(k.admin, keyPath("n")).want(200)
	before := k.everything()
	for name, change := range map[string]fields{
		"nothing":    {},
		"name":       {"name": "m"},
		"own name":   {"name": "n"},
		"expires_at": {"expires_at": k.in(2 * time.Hour)},
		"scopes":     {"scopes": []string{}},
	} {
		k.Run(name, func(k *kit) { k.patch(k.admin, keyPath(made.ID), change).refused(409, "KEY_REVOKED") })
	}
	if diff := cmp.Diff(before, k.everything()); diff != "" {
		k.Errorf("a refused request changed something (-before +after):\n%s", diff)
	}
}

func TestRevocationCountsAtOnce(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for i := range 20 {
		made := k.mustCreate(k.admin, fields{"name": fmt.Sprint(i)})
		k.get(made, keysPath).want(200)
		k.revoke(made, keyPath(made.ID)).want(200) // by itself
		for _, op := range k.operations(made.ID) {
			k.do(request{method: op.method, path: op.path, key: made.Secret, body: `{}`}).refused(401, "CREDENTIAL_REVOKED")
		}
	}
}

func TestLastUsed(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "n"})
	lastUsed := func() string {
		k.Helper()
		k.must(k.verifier.Keys.Flush(k.Context()))
		return k.get(k.admin, keyPath("n")).want(200).key().LastUsedAt
	}
	if got := lastUsed(); got != "" {
		k.Errorf("last used at %s, before it was used", got)
	}
	k.do(request{path: keysPath, key: mistyped(made.Secret)}).refused(401, "")
	if got := lastUsed(); got != "" {
		k.Errorf("last used at %s, by a wrong secret", got)
	}
	k.clock.Advance(90 * time.Second)
	k.get(made, keysPath).want(200)
	k.clock.Advance(time.Minute)
	if got := lastUsed(); got != "2026-11-23T12:01:30.000Z" {
		k.Errorf("last used at %q", got)
	}
	// A refused request of a valid key is a use too: it was authenticated.
	k.get(made, keyPath("nobody")).refused(404, "")
	if got := lastUsed(); got != "2026-11-23T12:02:30.000Z" {
		k.Errorf("last used at %q", got)
	}
}

func TestOneOfManyWinsAName(t *testing.T) {
	t.Parallel()
	const callers = 16
	tests := map[string]func(k *kit, caller int) response{
		"create": func(k *kit, _ int) response { return k.create(k.admin, fields{"name": "wanted"}) },
		"rename": func(k *kit, caller int) response {
			return k.patch(k.admin, keyPath(fmt.Sprint("key ", caller)), fields{"name": "wanted"})
		},
		"create or rename": func(k *kit, caller int) response {
			if caller%2 == 0 {
				return k.create(k.admin, fields{"name": "wanted"})
			}
			return k.patch(k.admin, keyPath(fmt.Sprint("key ", caller)), fields{"name": "wanted"})
		},
	}
	for name, call := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t)
			for i := range callers {
				k.mustCreate(k.admin, fields{"name": fmt.Sprint("key ", i)})
			}
			answers := make([]response, callers)
			start := make(chan struct{})
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					<-start
					answers[i] = call(k, i)
				})
			}
			close(start)
			wg.Wait()
			var winners []key
			for _, answer := range answers {
				if answer.status == 200 || answer.status == 201 {
					winners = append(winners, answer.key())
				} else {
					answer.refused(409, "NAME_TAKEN")
				}
			}
			if len(winners) != 1 {
				k.Fatalf("%d of %d callers got the name", len(winners), callers)
			}
			stored := k.get(k.admin, keyPath("wanted")).want(200).key()
			if diff := cmp.Diff(winners[0], stored, cmpopts.IgnoreFields(key{}, "Secret")); diff != "" {
				k.Errorf("not the winner's key was stored (-won +stored):\n%s", diff)
			}
		})
	}
}
