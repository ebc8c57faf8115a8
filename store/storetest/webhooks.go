package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apikeyd/apikey"
	"apikeyd/store"
)

// hook stores a webhook.
func (f *fixture) hook(events []string, owner string) store.Webhook {
	f.Helper()
	w := store.Webhook{
		ID: apikey.NewID(), URL: "https://hooks.example.com/in?token=t", Description: "a <b> & ü", Events: append([]string{}, events...),
		Owner: owner, CreatedAt: f.clock.Now(), Secret: store.NewWebhookSecret(),
	}
	f.must(f.CreateWebhook(f.ctx(), operator, w))
	return w
}

func (f *fixture) changeHook(id apikey.ID, change store.WebhookChange) store.Webhook {
	f.Helper()
	w, err := f.UpdateWebhook(f.ctx(), operator, id, change)
	f.must(err)
	return w
}

var hooksEqual = cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b store.WebhookSecret) bool { return string(a.Bytes()) == string(b.Bytes()) })}

func (f *fixture) wantHook(want store.Webhook) {
	f.Helper()
	got, err := f.Webhook(f.ctx(), want.ID)
	f.must(err)
	if diff := cmp.Diff(want, got, hooksEqual); diff != "" {
		f.Errorf("the webhook differs (-want +got):\n%s", diff)
	}
}

func testWebhooks(f *fixture) {
	w := f.hook(nil, "")
	f.wantHook(w)
	changes := apikey.Differences{
		f.changed("enabled", nil, true), f.changed("url", nil, "https://hooks.example.com/…"),
		f.changed("webhook_description", nil, "a <b> & ü"),
	}
	f.wantEvents(f.events()[:1], store.Event{
		At: f.clock.Now(), Action: store.ActionCreateWebhook, Key: w.ID, Owner: "*", Name: "hooks.example.com", Via: "storetest", Changes: changes,
	})
	other := f.hook([]string{"api_key.created"}, "acme")
	all, err := f.Webhooks(f.ctx())
	f.must(err)
	if diff := cmp.Diff([]store.Webhook{w, other}, all, hooksEqual); diff != "" {
		f.Errorf("the list differs (-want +got):\n%s", diff)
	}
	f.clock.Advance(time.Minute)
	events := len(f.events())
	f.wantHook(f.changeHook(w.ID, store.WebhookChange{URL: &w.URL, Enabled: new(true)}))
	if len(f.events()) != events {
		f.Error("a change that changes nothing is an event")
	}
	changed := f.changeHook(w.ID, store.WebhookChange{
		URL: new("http://hooks.example.com/other"), Description: new(""), Events: &[]string{"owner.updated", "api_key.leaked"}, Enabled: new(false),
	})
	if changed.URL != "http://hooks.example.com/other" || changed.DisabledReason != store.DisabledByRequest || !changed.DisabledAt.Equal(f.clock.Now()) {
		f.Errorf("after the change it is %+v", changed)
	}
	f.wantHook(changed)
	f.wantEvents(f.events()[:1], store.Event{
		At: f.clock.Now(), Action: store.ActionUpdateWebhook, Key: w.ID, Owner: "*", Name: "hooks.example.com", Via: "storetest",
		Changes: apikey.Differences{
			f.changed("disabled_reason", nil, "request"), f.changed("enabled", true, false),
			f.changed("events", []string{}, []string{"owner.updated", "api_key.leaked"}),
			f.changed("url", "https://hooks.example.com/…", "http://hooks.example.com/…"),
			f.changed("webhook_description", "a <b> & ü", nil),
		},
	})
	next := store.NewWebhookSecret()
	rotated, err := f.RotateWebhook(f.ctx(), operator, other.ID, next, time.Hour)
	f.must(err)
	want := other
	want.Secret, want.OldSecret, want.OldSecretUntil = next, other.Secret, f.clock.Now().Add(time.Hour)
	if diff := cmp.Diff(want, rotated, hooksEqual); diff != "" {
		f.Errorf("the rotated one differs (-want +got):\n%s", diff)
	}
	f.wantHook(want)
	rotated, err = f.RotateWebhook(f.ctx(), operator, other.ID, store.NewWebhookSecret(), 0)
	f.must(err)
	if len(rotated.OldSecret.Bytes()) > 0 || !rotated.OldSecretUntil.IsZero() {
		f.Error("without a grace the old secret stays")
	}
	_, err = f.DeleteWebhook(f.ctx(), operator, other.ID)
	f.must(err)
	f.wantEvents(f.events()[:1], store.Event{
		At: f.clock.Now(), Action: store.ActionDeleteWebhook, Key: other.ID, Owner: "acme", Name: "hooks.example.com", Via: "storetest",
		Changes: nil,
	})
	for name, err := range map[string]error{
		"get":     second(f.Webhook(f.ctx(), other.ID)),
		"update":  second(f.UpdateWebhook(f.ctx(), operator, other.ID, store.WebhookChange{})),
		"rotate":  second(f.RotateWebhook(f.ctx(), operator, other.ID, next, 0)),
		"delete":  second(f.DeleteWebhook(f.ctx(), operator, other.ID)),
		"test":    second(f.TestWebhook(f.ctx(), operator, other.ID)),
		"list":    second(f.Deliveries(f.ctx(), store.DeliveryQuery{Webhook: other.ID, Limit: 1})),
		"retry":   second(f.RetryDelivery(f.ctx(), operator, other.ID, next1)),
		"attempt": f.RecordAttempts(f.ctx(), other.ID, nil),
	} {
		if !errors.Is(err, store.ErrNoWebhook) {
			f.Errorf("%s: %v", name, err)
		}
	}
	f.wantErr(second(f.TestWebhook(f.ctx(), operator, w.ID)), store.ErrWebhookDisabled)
	_, _, err = f.TakeDeliveries(f.ctx(), w.ID, 1)
	f.wantErr(err, store.ErrWebhookDisabled)
	for i := range store.MaxWebhooks - 1 {
		f.hook(nil, fmt.Sprint("owner ", i))
	}
	w.ID = apikey.NewID()
	f.wantErr(f.CreateWebhook(f.ctx(), operator, w), store.ErrTooManyWebhooks)
}

var next1 = apikey.NewID()

func testWebhookAuthority(f *fixture) {
	w := f.hook(nil, "")
	plain, admin := f.create("acme", "plain", apikey.ScopeWrite, apikey.ScopeRead), f.create("acme", "admin", apikey.ScopeAdmin)
	calls := func(actor store.Actor) []error {
		return []error{
			f.CreateWebhook(f.ctx(), actor, store.Webhook{ID: apikey.NewID(), URL: "https://a.example", CreatedAt: f.clock.Now(), Secret: w.Secret}),
			second(f.UpdateWebhook(f.ctx(), actor, w.ID, store.WebhookChange{Description: new("x")})),
			second(f.RotateWebhook(f.ctx(), actor, w.ID, store.NewWebhookSecret(), 0)),
			second(f.TestWebhook(f.ctx(), actor, w.ID)),
			second(f.RetryDelivery(f.ctx(), actor, w.ID, f.deliveries(store.DeliveryQuery{Webhook: w.ID})[0].Event)),
		}
	}
	_, err := f.TestWebhook(f.ctx(), operator, w.ID)
	f.must(err)
	for _, err := range calls(actorOf(plain)) {
		f.wantDenied(err)
	}
	f.wantDenied(second(f.DeleteWebhook(f.ctx(), actorOf(plain), w.ID)))
	for _, err := range calls(actorOf(admin)) {
		f.must(err)
	}
	f.revoke(store.ByID(admin.ID))
	for _, err := range calls(actorOf(admin)) {
		f.wantErr(err, store.ErrActorGone)
	}
	f.wantErr(second(f.DeleteWebhook(f.ctx(), actorOf(admin), w.ID)), store.ErrActorGone)
}
