package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"apikeyd/apikey"
	"apikeyd/store"
)

// webhookColumn is a column of webhooks and the part of a webhook that it holds.
type webhookColumn struct {
	name string
	of   func(*store.Webhook) stored
}

// webhookColumns are the columns of webhooks. Every statement about the table uses this list.
var webhookColumns = []webhookColumn{
	{"id", func(w *store.Webhook) stored { return idColumn{&w.ID} }},
	{"url", func(w *store.Webhook) stored { return textColumn{&w.URL} }},
	{"description", func(w *store.Webhook) stored { return textColumn{&w.Description} }},
	{"events", func(w *store.Webhook) stored { return wordsColumn{&w.Events} }},
	{"owner", func(w *store.Webhook) stored { return textColumn{&w.Owner} }},
	{"disabled_at", func(w *store.Webhook) stored { return timeColumn{&w.DisabledAt} }},
	{"disabled_reason", func(w *store.Webhook) stored { return textColumn{&w.DisabledReason} }},
	{"secret", func(w *store.Webhook) stored { return webhookSecretColumn{&w.Secret} }},
	{"old_secret", func(w *store.Webhook) stored { return webhookSecretColumn{&w.OldSecret} }},
	{"old_secret_until", func(w *store.Webhook) stored { return timeColumn{&w.OldSecretUntil} }},
	{"created_at", func(w *store.Webhook) stored { return timeColumn{&w.CreatedAt} }},
	{"failing_since", func(w *store.Webhook) stored { return timeColumn{&w.FailingSince} }},
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
var WebhookColumns = webhookColumnNames()

// The names of the columns of webhook_cursors and webhook_deliveries.
const (
	WebhookCursorColumns   = `place, webhook, chain, event_id`
	WebhookDeliveryColumns = `place, webhook, event_id, type, since, attempts, next_at, finished_at, delivered, status, error`
)

func webhookColumnNames() string {
	names := make([]string, len(webhookColumns))
	for i, c := range webhookColumns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

var upsertWebhook = upsertWebhookStatement()

func upsertWebhookStatement() string {
	var places, set []string
	for i, c := range webhookColumns {
		places = append(places, fmt.Sprintf("$%d", i+1))
		if i > 0 {
			set = append(set, c.name+" = excluded."+c.name)
		}
	}
	return `INSERT INTO webhooks (` + WebhookColumns + `) VALUES (` + strings.Join(places, ", ") + `)
		ON CONFLICT (id) DO UPDATE SET ` + strings.Join(set, ", ")
}

func writeWebhook(on runner, w *store.Webhook) error {
	values := make([]any, len(webhookColumns))
	for i, c := range webhookColumns {
		values[i] = c.of(w).value()
	}
	return on.exec(upsertWebhook, values...)
}

func readWebhooks(ctx context.Context, q querier, rest string, args ...any) (all []store.Webhook, err error) {
	err = q.each(ctx, func(r row) error {
		var w store.Webhook
		parts := make([]any, len(webhookColumns))
		for i, c := range webhookColumns {
			parts[i] = c.of(&w)
		}
		err := r.Scan(parts...)
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
