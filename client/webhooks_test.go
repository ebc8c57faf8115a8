package client_test

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"apikeyd/client"
	servertest "apikeyd/internal/testkit/server"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	k := newKit(t, servertest.Options{})
	ctx := t.Context()
	created, err := k.admin.CreateWebhook(ctx, client.NewWebhook{
		URL: "https://hooks.example.com/a", Description: "d", Events: []string{"api_key.leaked"}, Owner: "acme",
	})
	must(t, err)
	w := created.Webhook
	want := client.Webhook{
		ID: w.ID, URL: "https://hooks.example.com/a", Description: "d", Events: []string{"api_key.leaked"}, Owner: "acme", Enabled: true, CreatedAt: w.CreatedAt,
	}
	if diff := cmp.Diff(want, w); diff != "" || len(created.Secret.Reveal()) != len("whsec_")+44 {
		t.Errorf("the webhook differs (-want +got):\n%s", diff)
	}
	another, err := k.admin.CreateWebhook(ctx, client.NewWebhook{URL: "https://hooks.example.com/b"})
	must(t, err)
	all, err := k.admin.Webhooks(ctx)
	must(t, err)
	if diff := cmp.Diff([]client.Webhook{w, another.Webhook}, all, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the list differs (-want +got):\n%s", diff)
	}
	rotated, err := k.admin.RotateWebhookSecret(ctx, w.ID, time.Hour)
	must(t, err)
	if rotated.OldSecretUntil.IsZero() || rotated.Secret.Reveal() == created.Secret.Reveal() {
		t.Errorf("after the rotation it is %+v", rotated.Webhook)
	}
	test, err := k.admin.TestWebhook(ctx, w.ID)
	must(t, err)
	later, err := k.admin.TestWebhook(ctx, w.ID)
	must(t, err)
	var seen []client.Delivery
	for d, err := range k.admin.Deliveries(ctx, w.ID, client.DeliveryOptions{PageSize: 1, State: "waiting"}) {
		must(t, err)
		seen = append(seen, d)
	}
	if diff := cmp.Diff([]client.Delivery{later, test}, seen); diff != "" || test.Type != "webhook.test" {
		t.Errorf("the deliveries differ (-want +got):\n%s", diff)
	}
	if _, err := k.admin.RetryDelivery(ctx, w.ID, test.EventID); err != nil {
		t.Error(err)
	}
	changed, err := k.admin.UpdateWebhook(ctx, w.ID, client.WebhookChange{
		URL: new("https://hooks.example.com/c"), Description: new(""), Events: new([]string), Enabled: new(false),
	})
	must(t, err)
	if changed.Enabled || changed.DisabledReason != "request" || changed.DisabledAt.IsZero() || len(changed.Events) > 0 || changed.URL != "https://hooks.example.com/c" {
		t.Errorf("after the change it is %+v", changed)
	}
	_, err = k.admin.TestWebhook(ctx, w.ID)
	wantError(t, err, 409, client.CodeWebhookDisabled)
	for event, err := range k.admin.AuditEvents(ctx, client.AuditOptions{KeyID: w.ID}) {
		must(t, err)
		if event.Action != client.AuditUpdateWebhook || *event.Changes.DisabledReason.To != "request" || *event.Changes.WebhookDescription.From != "d" ||
			len(*event.Changes.Events.From) != 1 || event.Changes.URL == nil || event.Owner != "acme" || event.Name != "hooks.example.com" {
			t.Errorf("the event is %+v", event)
		}
		break
	}
	deleted, err := k.admin.DeleteWebhook(ctx, w.ID)
	must(t, err)
	if deleted.ID != w.ID {
		t.Errorf("deleted was %+v", deleted)
	}
	for _, id := range []string{w.ID, "", ".", "..", "a/b"} {
		for name, err := range map[string]error{
			"get":    second(k.admin.Webhook(ctx, id)),
			"update": second(k.admin.UpdateWebhook(ctx, id, client.WebhookChange{})),
			"delete": second(k.admin.DeleteWebhook(ctx, id)),
			"rotate": second(k.admin.RotateWebhookSecret(ctx, id, 0)),
			"test":   second(k.admin.TestWebhook(ctx, id)),
			"retry":  second(k.admin.RetryDelivery(ctx, id, test.EventID)),
		} {
			if client.CodeOf(err) != client.CodeWebhookNotFound {
				t.Errorf("%s %q: %v", name, id, err)
			}
		}
		for _, err := range k.admin.Deliveries(ctx, id, client.DeliveryOptions{}) {
			wantError(t, err, 404, client.CodeWebhookNotFound)
		}
	}
	_, err = k.admin.RetryDelivery(ctx, another.ID, test.EventID)
	wantError(t, err, 404, client.CodeDeliveryNotFound)
}

// The example of the Standard Webhooks specification has a body that is no event of ours, so the check stops there.
func TestVerifyWebhook(t *testing.T) {
	t.Parallel()
	const secret, other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	body := []byte(`{"test": 2432232314}`)
	headers := func(id, timestamp, signature string) http.Header {
		h := make(http.Header)
		h.Set("webhook-id", id)
		h.Set("webhook-timestamp", timestamp)
		h.Set("webhook-signature", signature)
		return h
	}
	const id, at, signature = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	timestamp, now := strconv.Itoa(at), time.Unix(at, 0)
	good := headers(id, timestamp, signature)
	for name, tt := range map[string]struct {
		secrets []string
		headers http.Header
		body    string
		now     time.Time
		ok      bool
	}{
		"the specification's":    {[]string{secret}, good, string(body), now, true},
		"one of two secrets":     {[]string{other, secret}, good, string(body), now, true},
		"one of two signatures":  {[]string{secret}, headers(id, timestamp, "v1,AAAA "+signature), string(body), now, true},
		"late, but not too late": {[]string{secret}, good, string(body), now.Add(client.WebhookTolerance), true},
		"too late":               {[]string{secret}, good, string(body), now.Add(client.WebhookTolerance + time.Second), false},
		"too early":              {[]string{secret}, good, string(body), now.Add(-client.WebhookTolerance - time.Second), false},
		"another secret":         {[]string{other}, good, string(body), now, false},
		"no secret":              {nil, good, string(body), now, false},
		"an empty secret":        {[]string{""}, good, string(body), now, false},
		"another body":           {[]string{secret}, good, `{"test": 2432232315}`, now, false},
		"another id":             {[]string{secret}, headers("msg", timestamp, signature), string(body), now, false},
		"no id":                  {[]string{secret}, headers("", timestamp, signature), string(body), now, false},
		"another time":           {[]string{secret}, headers(id, strconv.Itoa(at+1), signature), string(body), now, false},
		"no time":                {[]string{secret}, headers(id, "", signature), string(body), now, false},
		"another version":        {[]string{secret}, headers(id, timestamp, "v1a"+signature[2:]), string(body), now, false},
		"no signature":           {[]string{secret}, headers(id, timestamp, ""), string(body), now, false},
	} {
		event, err := client.VerifyWebhook(tt.secrets, tt.headers, []byte(tt.body), tt.now)
		if tt.ok && (err != nil || event.ID != id) || !tt.ok && !errors.Is(err, client.ErrWebhook) {
			t.Errorf("%s: %+v, %v", name, event, err)
		}
	}
}
