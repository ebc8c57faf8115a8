package client_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
)

func TestOwnerLink(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	ctx := t.Context()
	wanted := client.NewOwnerLink{Scopes: []string{"keys:read"}, Name: "bob", Metadata: map[string]string{"a": "b"}, Lasts: time.Minute}
	link, err := k.admin.LinkOwner(ctx, "a/b %41", wanted)
	must(t, err)
	if !strings.HasPrefix(link.URL, k.URL+"/console/link#link_") || time.Until(link.ExpiresAt) > 5*time.Minute || link.SessionID == "" {
		t.Errorf("the link is %+v", link)
	}
	_, err = k.admin.LinkOwner(ctx, "..", wanted)
	wantError(t, err, 404, client.CodeOwnerNotFound)
	_, err = k.admin.LinkOwner(ctx, "acme", client.NewOwnerLink{})
	wantError(t, err, 400, client.CodeInvalidRequest)
	for key, err := range k.admin.List(ctx, client.ListOptions{Sessions: true}) {
		t.Errorf("a link that was not opened has a session: %v, %v", key, err)
	}
	var actions []client.AuditAction
	for event, err := range k.admin.AuditEvents(ctx, client.AuditOptions{KeyID: link.SessionID}) {
		must(t, err)
		actions = append(actions, event.Action)
	}
	if !slices.Equal(actions, []client.AuditAction{client.AuditCreateLink}) {
		t.Errorf("the events are %v", actions)
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	ctx := t.Context()
	const name = "a/b %41"
	_, err := k.admin.Owner(ctx, name)
	wantError(t, err, 404, client.CodeOwnerNotFound)
	for _, impossible := range []string{"", ".", ".."} {
		_, err := k.admin.Owner(ctx, impossible)
		wantError(t, err, 404, client.CodeOwnerNotFound)
	}
	change := client.OwnerChange{
		MaxKeys: new(1), RateLimit: &client.RateLimit{Limit: 9, Window: time.Minute},
		Quota: &client.Quota{Limit: 7, Period: client.Day}, Metadata: &map[string]string{"plan": "pro"},
		AllowedCIDRs: &[]string{"127.0.0.1", "192.0.2.0/24"},
	}
	got, err := k.admin.UpdateOwner(ctx, name, change)
	must(t, err)
	want := client.Owner{
		Name: name, Enabled: true, MaxKeys: 1, RateLimit: *change.RateLimit, Metadata: *change.Metadata,
		Quota: client.Quota{Limit: 7, Period: client.Day, StartsOn: 1},
		Left:  client.QuotaState{Remaining: 7, ResetsAt: got.Left.ResetsAt},

		AllowedCIDRs: []string{"127.0.0.1/32", "192.0.2.0/24"},
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Left.ResetsAt.IsZero() {
		t.Errorf("the owner differs (-want +got):\n%s", diff)
	}
	created, err := k.admin.ForOwner(name).Create(ctx, client.NewKey{Name: "n", ExpiresAt: inAnHour(), Scopes: &[]string{apikey.ScopeRead}})
	must(t, err)
	_, err = k.admin.ForOwner(name).Create(ctx, client.NewKey{Name: "m", ExpiresAt: inAnHour()})
	wantError(t, err, 409, client.CodeTooManyKeys)
	own, err := k.as(t, created.Secret.Reveal()).Owner(ctx, name)
	must(t, err)
	if own.Keys != (client.OwnerKeys{Active: 1}) {
		t.Errorf("the counts are %+v", own.Keys)
	}
	got, err = k.admin.UpdateOwner(ctx, name, client.OwnerChange{
		Enabled: new(false), MaxKeys: new(0), RateLimit: &client.RateLimit{}, Quota: &client.Quota{}, Metadata: new(map[string]string),
		AllowedCIDRs: new([]string),
	})
	must(t, err)
	want = client.Owner{Name: name, Metadata: map[string]string{}, Keys: client.OwnerKeys{Revoked: 1, Suspended: 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the owner differs (-want +got):\n%s", diff)
	}
	_, err = k.as(t, created.Secret.Reveal()).Owner(ctx, name)
	wantError(t, err, 401, client.CodeCredentialDisabled)

	for _, tt := range []struct {
		options client.OwnerOptions
		want    []string
	}{
		{client.OwnerOptions{Search: "A/B"}, []string{name}},
		{client.OwnerOptions{Enabled: new(false), PageSize: 1}, []string{name}},
		{client.OwnerOptions{PageSize: 1}, []string{name, "admin"}},
		{client.OwnerOptions{Search: "none"}, nil},
	} {
		var names []string
		for owner, err := range k.admin.Owners(ctx, tt.options) {
			must(t, err)
			names = append(names, owner.Name)
		}
		if diff := cmp.Diff(tt.want, names); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.options, diff)
		}
	}
	for _, err := range k.as(t, created.Secret.Reveal()).Owners(ctx, client.OwnerOptions{}) {
		wantError(t, err, 401, client.CodeCredentialDisabled)
	}
	for event, err := range k.admin.AuditEvents(ctx, client.AuditOptions{Action: client.AuditUpdateOwner}) {
		must(t, err)
		if event.Owner != name || event.Changes.MaxKeys == nil {
			t.Errorf("the event is %+v", event)
		}
	}
}
