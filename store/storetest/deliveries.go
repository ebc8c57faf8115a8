package storetest

import (
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/store"
)

// take returns the types of what is due, and the events.
func (f *fixture) take(id apikey.ID, limit int) (types []string, events []apikey.ID) {
	f.Helper()
	_, due, err := f.TakeDeliveries(f.ctx(), id, limit)
	f.must(err)
	for _, d := range due {
		if d.Of.ID != d.Event || store.EventType(&d.Of) != d.Type {
			f.Errorf("a delivery of %s has event %s", d.Event, d.Of.ID)
		}
		types, events = append(types, d.Type), append(events, d.Event)
	}
	return types, events
}

// taken records that the receiver has taken events.
func (f *fixture) taken(id apikey.ID, events ...apikey.ID) {
	f.Helper()
	var attempts []store.Attempt
	for _, event := range events {
		attempts = append(attempts, store.Attempt{Event: event, OK: true, Status: 200})
	}
	f.must(f.RecordAttempts(f.ctx(), id, attempts))
}

func (f *fixture) wantTypes(id apikey.ID, want ...string) []apikey.ID {
	f.Helper()
	got, events := f.take(id, 100)
	if !slices.Equal(got, want) {
		f.Errorf("due are %q, want %q", got, want)
	}
	return events
}

func (f *fixture) deliveries(q store.DeliveryQuery) []store.Delivery {
	f.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	all, err := f.Deliveries(f.ctx(), q)
	f.must(err)
	return all
}

// What a webhook hears is what happened after its creation, each once, in the order of its chain.
func testWebhookEvents(f *fixture) {
	f.create("acme", "before")
	all := f.hook(nil, "")
	some := f.hook([]string{"api_key.created", "api_key.suspended"}, "")
	one := f.hook(nil, "acme")
	key, foreign := f.create("acme", "ci", apikey.ScopeWrite), f.create("other", "ci")
	f.changeSuspended(key.ID, true)
	f.changeSuspended(key.ID, false)
	_, err := f.rename(operator, store.ByID(key.ID), "cd")
	f.must(err)
	secret := key.NewSecret()
	_, err = f.RotateKey(f.ctx(), operator, store.ByID(key.ID), apikey.Rotation{From: key.SecretHash, To: secret.Hash()})
	f.must(err)
	f.changeOwner("acme", apikey.OwnerChange{MaxKeys: new(3)})
	f.revoke(store.ByID(foreign.ID))
	_, err = f.EndSecret(f.ctx(), store.Actor{Key: key.ID, Secret: secret.Hash(), Via: "leak report"})
	f.must(err)
	test, err := f.TestWebhook(f.ctx(), operator, some.ID)
	f.must(err)
	_, err = f.DeleteWebhook(f.ctx(), operator, f.hook(nil, "acme").ID)
	f.must(err)
	keyEvents := []string{"api_key.created", "api_key.suspended", "api_key.resumed", "api_key.updated", "api_key.rotated", "owner.updated", "api_key.leaked"}
	f.wantTypes(all.ID, "webhook.created", "webhook.created", "api_key.created", "api_key.created", "api_key.suspended", "api_key.resumed",
		"api_key.updated", "api_key.rotated", "owner.updated", "api_key.revoked", "api_key.leaked", "webhook.test", "webhook.created", "webhook.deleted")
	f.wantTypes(one.ID, keyEvents...)
	heard := f.wantTypes(some.ID, "api_key.created", "api_key.created", "api_key.suspended", "webhook.test")
	if heard[3] != test.Event {
		f.Errorf("the test is event %s, want %s", heard[3], test.Event)
	}
	f.wantTypes(some.ID, "api_key.created", "api_key.created", "api_key.suspended", "webhook.test") // as nothing was recorded
	f.taken(some.ID, heard[0], heard[2])
	f.taken(some.ID, heard[0]) // twice
	f.wantTypes(some.ID, "api_key.created", "webhook.test")
	f.taken(some.ID, heard[1], heard[3])
	f.wantTypes(some.ID)
	if got := f.deliveries(store.DeliveryQuery{Webhook: some.ID, State: store.StateDelivered, Before: heard[3], Limit: 2}); len(got) != 2 ||
		got[0].Event != heard[2] || got[1].Event != heard[1] || got[0].Attempts != 1 || !got[0].Finished.Equal(f.clock.Now()) {
		f.Errorf("delivered were %+v", got)
	}
}

func (f *fixture) changeSuspended(id apikey.ID, suspended bool) {
	f.Helper()
	_, err := f.UpdateKey(f.ctx(), operator, store.ByID(id), apikey.Change{Suspended: &suspended})
	f.must(err)
}

func testWebhookAttempts(f *fixture) {
	w := f.hook([]string{"api_key.created"}, "")
	for i := range 3 {
		f.create("acme", numbered(i))
	}
	events := f.wantTypes(w.ID, "api_key.created", "api_key.created", "api_key.created")
	next := f.clock.Now().Add(time.Hour)
	fail := func(event apikey.ID, disable string) {
		f.Helper()
		f.must(f.RecordAttempts(f.ctx(), w.ID, []store.Attempt{{Event: event, Status: 503, Error: "status 503", Next: next, Disable: disable}}))
	}
	fail(events[0], "")
	fail(events[1], "")
	w.FailingSince = f.clock.Now()
	f.wantHook(w)
	got := f.deliveries(store.DeliveryQuery{Webhook: w.ID, State: store.StateWaiting})
	want := store.Delivery{Webhook: w.ID, Event: events[0], Type: "api_key.created", Since: f.clock.Now(), Attempts: 1, Next: next, Status: 503, Error: "status 503"}
	if diff := cmp.Diff(want, got[2]); diff != "" {
		f.Errorf("the delivery differs (-want +got):\n%s", diff)
	}
	if oldest, err := f.OldestWaiting(f.ctx()); err != nil || !oldest.Equal(f.clock.Now()) {
		f.Errorf("the oldest one waits since %s, %v", oldest, err)
	}
	f.clock.Advance(30 * time.Second)
	f.taken(w.ID, events[2]) // a short failure
	f.wantTypes(w.ID)
	w.FailingSince = time.Time{}
	f.wantHook(w)
	fail(events[1], "")
	f.clock.Advance(2 * time.Minute)
	f.create("acme", "another")
	f.taken(w.ID, f.wantTypes(w.ID, "api_key.created")...)
	f.wantTypes(w.ID, "api_key.created", "api_key.created") // the receiver is back
	// By hand.
	retried, err := f.RetryDelivery(f.ctx(), operator, w.ID, events[2])
	f.must(err)
	if retried.State() != store.StateWaiting || !retried.Since.Equal(f.clock.Now()) {
		f.Errorf("the repeated one is %+v", retried)
	}
	f.wantErr(second(f.RetryDelivery(f.ctx(), operator, w.ID, apikey.NewID())), store.ErrNoDelivery)
	f.taken(w.ID, f.wantTypes(w.ID, "api_key.created", "api_key.created", "api_key.created")[2])
	// Disabled, and enabled again.
	fail(events[0], store.DisabledGone)
	disabled, err := f.Webhook(f.ctx(), w.ID)
	f.must(err)
	if disabled.DisabledReason != store.DisabledGone || !disabled.DisabledAt.Equal(f.clock.Now()) {
		f.Errorf("after 410 it is %+v", disabled)
	}
	f.wantEvents(f.events()[:1], store.Event{
		At: f.clock.Now(), Action: store.ActionUpdateWebhook, Key: w.ID, Owner: "*", Name: "hooks.example.com", Via: "webhooks",
		Changes: apikey.Differences{f.changed("disabled_reason", nil, "gone"), f.changed("enabled", true, false)},
	})
	if oldest, err := f.OldestWaiting(f.ctx()); err != nil || !oldest.IsZero() {
		f.Errorf("for disabled webhooks an event waits since %s, %v", oldest, err)
	}
	f.wantErr(second(f.RetryDelivery(f.ctx(), operator, w.ID, events[0])), store.ErrWebhookDisabled)
	f.create("acme", "meanwhile")
	f.clock.Advance(time.Minute)
	f.changeHook(w.ID, store.WebhookChange{Enabled: new(true)})
	f.wantTypes(w.ID, "api_key.created", "api_key.created", "api_key.created")
	if got := f.deliveries(store.DeliveryQuery{Webhook: w.ID, State: store.StateWaiting}); !got[2].Since.Equal(f.clock.Now()) {
		f.Errorf("the attempts of a webhook that is enabled again begin at %s", got[2].Since)
	}
}

// A webhook that wants one event of many gets it at once.
func testWebhookFewEvents(f *fixture) {
	w := f.hook([]string{"owner.updated"}, "")
	f.atOnce(500, nil, func(i int) error { return f.CreateKey(f.ctx(), operator, f.draft("acme", numbered(i))) })
	f.changeOwner("acme", apikey.OwnerChange{MaxKeys: new(1000)})
	f.wantTypes(w.ID, "owner.updated")
}

// Neither waiting nor finished deliveries pile up, and retention leaves what was not heard.
func testWebhookBounds(f *fixture) {
	w := f.hook([]string{"api_key.created"}, "")
	const many = store.MaxWaitingDeliveries + 50
	f.atOnce(many, nil, func(i int) error { return f.CreateKey(f.ctx(), operator, f.draft("acme", numbered(i))) })
	seen := make(map[apikey.ID]bool)
	for range 20 {
		f.take(w.ID, 1)
	}
	if got := len(f.deliveries(store.DeliveryQuery{Webhook: w.ID, Limit: many})); got != store.MaxWaitingDeliveries {
		f.Errorf("%d deliveries wait", got)
	}
	f.clock.Advance(25 * time.Hour)
	if removed, err := f.PruneEvents(f.ctx(), f.clock.Now().Add(-24*time.Hour)); err != nil || removed != 1 {
		f.Errorf("retention removed %d events that were not heard, want only the webhook's creation; %v", removed, err)
	}
	for len(seen) < many {
		_, events := f.take(w.ID, 100)
		if len(events) == 0 {
			f.Fatalf("only %d of %d events were heard", len(seen), many)
		}
		for _, event := range events {
			seen[event] = true
		}
		f.taken(w.ID, events...)
	}
	f.create("acme", "one more")
	f.taken(w.ID, f.wantTypes(w.ID, "api_key.created")...)
	if got := len(f.deliveries(store.DeliveryQuery{Webhook: w.ID, Limit: 2 * many})); got > store.MaxFinishedDeliveries+1 {
		f.Errorf("%d deliveries are kept", got)
	}
	if _, err := f.PruneEvents(f.ctx(), f.clock.Now().Add(-24*time.Hour)); err != nil {
		f.Error(err)
	}
	if got := len(f.events()); got != 1 {
		f.Errorf("%d events are left, want the last", got)
	}
	f.clock.Advance(store.KeepDeliveries + time.Second)
	f.create("acme", "the last")
	f.taken(w.ID, f.wantTypes(w.ID, "api_key.created")...)
	if got := len(f.deliveries(store.DeliveryQuery{Webhook: w.ID})); got != 1 {
		f.Errorf("%d deliveries are kept after a week", got)
	}
}

func testWebhookTurn(f *fixture) {
	until, err := f.HoldWebhooks(f.ctx())
	f.must(err)
	if time.Until(until) <= 0 {
		f.Errorf("the only process may deliver until %s", until)
	}
	f.must(f.ReleaseWebhooks(f.ctx()))
	if until, err = f.HoldWebhooks(f.ctx()); err != nil || time.Until(until) <= 0 {
		f.Errorf("again it may until %s, %v", until, err)
	}
}
