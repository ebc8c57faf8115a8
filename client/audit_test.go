package client_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
	"apikeyd/store/storetest"
)

func TestAuditEvents(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	k := newKit(t, servertest.Options{Now: clock.Now})
	ctx, start := t.Context(), clock.Now()
	theirs := k.admin.ForOwner("customer")
	created, err := theirs.Create(ctx, client.NewKey{Name: "ci", ExpiresAt: start.Add(time.Hour), Scopes: &[]string{"a:b"}})
	must(t, err)
	clock.Advance(time.Second)
	limit, quota := client.RateLimit{Limit: 5, Window: time.Minute}, client.Quota{Limit: 100, Period: client.Week, StartsOn: 7}
	name, scopes, metadata, later := "cd", []string{}, map[string]string{"plan": "pro"}, start.Add(2*time.Hour)
	_, err = theirs.Update(ctx, created.ID, client.Change{
		Name: &name, Scopes: &scopes, Metadata: &metadata, RateLimit: &limit, Quota: &quota, ExpiresAt: &later})
	must(t, err)
	clock.Advance(time.Second)
	_, err = theirs.Rotate(ctx, created.ID, time.Minute)
	must(t, err)
	must(t, k.admin.ReportLeak(ctx, created.Secret.Reveal()))
	_, err = theirs.Revoke(ctx, created.ID)
	must(t, err)

	list := func(o client.AuditOptions) (events []client.AuditEvent) {
		t.Helper()
		for event, err := range k.admin.AuditEvents(ctx, o) {
			must(t, err)
			events = append(events, event)
		}
		return events
	}
	actions := func(events []client.AuditEvent) (actions []client.AuditAction) {
		for _, event := range events {
			actions = append(actions, event.Action)
		}
		return actions
	}
	all := list(client.AuditOptions{KeyID: created.ID})
	if len(all) != 5 {
		t.Fatalf("%d events: %+v", len(all), all)
	}
	want := client.AuditEvent{At: start.Add(time.Second), Action: client.AuditUpdate, KeyID: created.ID, Owner: "customer",
		Name: "cd", Actor: all[3].Actor, Via: "http", Address: "127.0.0.1", ID: all[3].ID, RequestID: all[3].RequestID,
		Changes: client.AuditChanges{
			Name:      &client.AuditChange[string]{From: new("ci"), To: &name},
			ExpiresAt: &client.AuditChange[time.Time]{From: new(start.Add(time.Hour)), To: &later},
			Scopes:    &client.AuditChange[[]string]{From: &[]string{"a:b"}, To: &scopes},
			Metadata:  &client.AuditChange[map[string]string]{From: &map[string]string{}, To: &metadata},
			RateLimit: &client.AuditChange[client.RateLimit]{To: &limit},
			Quota:     &client.AuditChange[client.Quota]{To: &quota},
		}}
	if diff := cmp.Diff(want, all[3]); diff != "" || all[3].RequestID == "" {
		t.Errorf("the event differs (-want +got):\n%s", diff)
	}
	ended := all[0].Changes
	if ended.RevokedAt == nil || ended.GraceEndsAt != nil || all[2].Changes.GraceEndsAt == nil || all[1].Changes.GraceEndsAt.From == nil {
		t.Errorf("the last changes are %+v, %+v and %+v", ended, all[1].Changes, all[2].Changes)
	}
	for name, tt := range map[string]struct {
		o    client.AuditOptions
		want []client.AuditAction
	}{
		"in pages": {client.AuditOptions{KeyID: created.ID, PageSize: 2},
			[]client.AuditAction{"revoke", "leak", "rotate", "update", "create"}},
		"an owner and an action": {client.AuditOptions{Owner: "customer", Action: client.AuditRotate}, []client.AuditAction{"rotate"}},
		"since and until": {client.AuditOptions{Owner: "customer", Since: start.Add(time.Second), Until: start.Add(2 * time.Second)},
			[]client.AuditAction{"update"}},
		"before":       {client.AuditOptions{Owner: "customer", Before: all[3].ID}, []client.AuditAction{"create"}},
		"an actor":     {client.AuditOptions{Actor: created.ID}, []client.AuditAction{"leak"}},
		"the operator": {client.AuditOptions{Actor: client.AuditOperator, Owner: "customer"}, nil},
	} {
		if got := actions(list(tt.o)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	events := k.admin.AuditEvents(ctx, client.AuditOptions{KeyID: created.ID, PageSize: 2})
	for range 2 { // the log can be read twice
		n := 0
		for _, err := range events {
			must(t, err)
			n++
		}
		if n != 5 {
			t.Errorf("a loop found %d events, want 5", n)
		}
	}
	first, err := k.admin.AuditPage(ctx, client.AuditOptions{KeyID: created.ID, PageSize: 4})
	must(t, err)
	rest, err := k.admin.AuditPage(ctx, client.AuditOptions{KeyID: created.ID, PageSize: 4, Before: first.Next})
	must(t, err)
	if diff := cmp.Diff(all, append(first.Events, rest.Events...)); diff != "" || rest.Next != "" || len(rest.Events) != 1 {
		t.Errorf("the pages differ from the list, and after them is %q (-want +got):\n%s", rest.Next, diff)
	}
	for _, err := range theirs.AuditEvents(ctx, client.AuditOptions{Actor: "nobody"}) {
		if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != http.StatusBadRequest {
			t.Errorf("error is %v", err)
		}
	}
}
