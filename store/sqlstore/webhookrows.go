package sqlstore

import (
	"context"
	"strings"

	"apikeyd/apikey"
	"apikeyd/store"
)

// webhookColumns are the columns of webhooks.
var webhookColumns = columnsOf[store.Webhook]{
	{name: "id", of: func(w *store.Webhook) stored { return idColumn{&w.ID} }},
	{name: "url", of: func(w *store.Webhook) stored { return textColumn{&w.URL} }},
	{name: "description", of: func(w *store.Webhook) stored { return textColumn{&w.Description} }},
	{name: "events", of: func(w *store.Webhook) stored { return wordsColumn{&w.Events} }},
	{name: "owner", of: func(w *store.Webhook) stored { return textColumn{&w.Owner} }},
	{name: "disabled_at", of: func(w *store.Webhook) stored { return timeColumn{&w.DisabledAt} }},
	{name: "disabled_reason", of: func(w *store.Webhook) stored { return textColumn{&w.DisabledReason} }},
	{name: "secret", of: func(w *store.Webhook) stored { return webhookSecretColumn{&w.Secret} }},
	{name: "old_secret", of: func(w *store.Webhook) stored { return webhookSecretColumn{&w.OldSecret} }},
	{name: "old_secret_until", of: func(w *store.Webhook) stored { return timeColumn{&w.OldSecretUntil} }},
	{name: "created_at", of: func(w *store.Webhook) stored { return timeColumn{&w.CreatedAt} }},
	{name: "failing_since", of: func(w *store.Webhook) stored { return timeColumn{&w.FailingSince} }},
}

type (
	wordsColumn         struct{ at *[]string } // text, with spaces between them
	webhookSecretColumn struct{ at *store.WebhookSecret }
)

func (c wordsColumn) value() any { return strings.Join(*c.at, " ") }

func (c wordsColumn) read(r row, i int) error {
	text, err := r.text(i)
	*c.at = strings.Fields(text)
	return err
}

func (c webhookSecretColumn) value() any { return c.at.Bytes() }

func (c webhookSecretColumn) read(r row, i int) error {
	key, err := r.bytes(i)
	*c.at = store.WebhookSecretOf(key)
	return err
}

// WebhookColumns are the names of the columns of webhooks.
var WebhookColumns = webhookColumns.names()

// The names of the columns of webhook_cursors and webhook_deliveries.
const (
	WebhookCursorColumns   = `place, webhook, chain, event_id`
	WebhookDeliveryColumns = `place, webhook, event_id, type, since, attempts, next_at, finished_at, delivered, status, error`
)

var upsertWebhook = webhookColumns.upsert("webhooks")

func writeWebhook(on runner, w *store.Webhook) error {
	return on.exec(upsertWebhook, webhookColumns.values(w)...)
}

func readWebhooks(ctx context.Context, q querier, rest string, args ...any) (all []store.Webhook, err error) {
	err = q.each(ctx, func(r row) error {
		var w store.Webhook
		err := r.Scan(webhookColumns.parts(&w)...)
		all = append(all, w)
		return err
	}, `SELECT `+WebhookColumns+` FROM webhooks`+rest, args...)
	return all, err
}

func findWebhook(ctx context.Context, q querier, id apikey.ID, rowLock string) (w store.Webhook, err error) {
	found, err := readWebhooks(ctx, q, ` WHERE id = $1`+rowLock, id[:])
	if err == nil && len(found) == 0 {
		err = store.ErrNoWebhook
	}
	if err != nil {
		return w, err
	}
	return found[0], nil
}
