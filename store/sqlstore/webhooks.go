package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

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

// Webhook implements store.Webhooks.
func (db *DB) Webhook(ctx context.Context, id apikey.ID) (w store.Webhook, err error) {
	err = db.read(ctx, func() error {
		w, err = findWebhook(ctx, db.points, id, "")
		return err
	})
	return w, err
}

// Webhooks implements store.Webhooks.
func (db *DB) Webhooks(ctx context.Context) (all []store.Webhook, err error) {
	err = db.read(ctx, func() error {
		all, err = readWebhooks(ctx, db.points, ` ORDER BY id`)
		return err
	})
	return all, err
}

// mutateWebhooks makes a change for which the actor needs keys:admin.
func (db *DB) mutateWebhooks(ctx context.Context, actor store.Actor, do func(*mutation) error) error {
	return db.mutate(ctx, actor, func(m *mutation) error {
		if err := m.allowed(func(acting apikey.Key) error { return acting.MayChangeWebhooks() }); err != nil {
			return err
		}
		return do(m)
	})
}

// auditWebhook writes the event of a webhook.
func (m *mutation) auditWebhook(action string, w *store.Webhook, changes apikey.Differences) error {
	m.changed = w.ID // nodes must hear of every event
	owner := w.Owner
	if owner == "" {
		owner = store.AllOwners
	}
	return m.audit(action, &apikey.Key{ID: w.ID, Settings: apikey.Settings{Owner: owner, Name: w.Host()}}, changes)
}

// CreateWebhook implements store.Webhooks.
func (db *DB) CreateWebhook(ctx context.Context, actor store.Actor, w store.Webhook) error {
	return db.mutateWebhooks(ctx, actor, func(m *mutation) error {
		// Creations wait for each other, so that there are never too many.
		if err := m.lock(m.dialect.lockChange, apikey.OwnerID(store.AllOwners)); err != nil {
			return err
		}
		var many int
		if err := first(context.Background(), m, `SELECT count(*) FROM webhooks`).Scan(&many); err != nil {
			return err
		}
		if many >= store.MaxWebhooks {
			return store.ErrTooManyWebhooks
		}
		if err := writeWebhook(m, &w); err != nil {
			return err
		}
		if err := m.auditWebhook(store.ActionCreateWebhook, &w, w.Difference(store.Webhook{})); err != nil {
			return err
		}
		heads, err := readPlaces(context.Background(), m, `SELECT chain, event_id FROM audit_chains`)
		if err != nil {
			return err
		}
		heads[m.chain] = m.head.event // the table has it at the end of the transaction
		return moveCursors(m, w.ID, heads)
	})
}

// UpdateWebhook implements store.Webhooks.
func (db *DB) UpdateWebhook(
	ctx context.Context, actor store.Actor, id apikey.ID, change store.WebhookChange,
) (w store.Webhook, err error) {
	err = db.mutateWebhooks(ctx, actor, func(m *mutation) error {
		before, err := findWebhook(context.Background(), m, id, m.dialect.rowLock)
		if err != nil {
			return err
		}
		w = before.Apply(change, m.now)
		return m.updateWebhook(&before, &w)
	})
	return w, err
}

// updateWebhook writes a webhook that is locked, and the event.
func (m *mutation) updateWebhook(before, w *store.Webhook) error {
	changes := w.Difference(*before)
	if len(changes) == 0 {
		return nil
	}
	if w.IsEnabled() && !before.IsEnabled() {
		w.FailingSince = time.Time{}
		if err := m.exec(`UPDATE webhook_deliveries SET since = $1, next_at = $1
			WHERE webhook = $2 AND finished_at IS NULL`, millis(m.now), w.ID[:]); err != nil {
			return err
		}
	}
	if err := writeWebhook(m, w); err != nil {
		return err
	}
	return m.auditWebhook(store.ActionUpdateWebhook, w, changes)
}

// RotateWebhook implements store.Webhooks.
func (db *DB) RotateWebhook(
	ctx context.Context, actor store.Actor, id apikey.ID, secret store.WebhookSecret, grace time.Duration,
) (w store.Webhook, err error) {
	err = db.mutateWebhooks(ctx, actor, func(m *mutation) error {
		if w, err = findWebhook(context.Background(), m, id, m.dialect.rowLock); err != nil {
			return err
		}
		w.OldSecret, w.OldSecretUntil = w.Secret, m.now.Add(grace)
		if grace == 0 {
			w.OldSecret, w.OldSecretUntil = store.WebhookSecret{}, time.Time{}
		}
		w.Secret = secret
		if err := writeWebhook(m, &w); err != nil {
			return err
		}
		var changes apikey.Differences
		if grace > 0 {
			text, _ := apikey.Timestamp(w.OldSecretUntil).MarshalText() // never fails
			changes = apikey.Differences{{Field: "grace_ends_at", To: []byte(`"` + string(text) + `"`)}}
		}
		return m.auditWebhook(store.ActionRotateWebhook, &w, changes)
	})
	return w, err
}

// DeleteWebhook implements store.Webhooks.
func (db *DB) DeleteWebhook(ctx context.Context, actor store.Actor, id apikey.ID) (w store.Webhook, err error) {
	err = db.mutateWebhooks(ctx, actor, func(m *mutation) error {
		if w, err = findWebhook(context.Background(), m, id, m.dialect.rowLock); err != nil {
			return err
		}
		for _, table := range [...]string{`webhook_deliveries WHERE webhook`, `webhook_cursors WHERE webhook`, `webhooks WHERE id`} {
			if err := m.exec(`DELETE FROM `+table+` = $1`, id[:]); err != nil {
				return err
			}
		}
		return m.auditWebhook(store.ActionDeleteWebhook, &w, nil)
	})
	return w, err
}

// TestWebhook implements store.Webhooks. The delivery does not wait until those of other events are made.
func (db *DB) TestWebhook(ctx context.Context, actor store.Actor, id apikey.ID) (d store.Delivery, err error) {
	err = db.mutateWebhooks(ctx, actor, func(m *mutation) error {
		w, err := m.enabledWebhook(id)
		if err != nil {
			return err
		}
		if err := m.auditWebhook(store.ActionTestWebhook, &w, nil); err != nil {
			return err
		}
		event := store.Event{ID: m.head.event, Action: store.ActionTestWebhook}
		d = newDelivery(id, &event, m.now)
		return insertDelivery(m, &d)
	})
	return d, err
}

// enabledWebhook locks a webhook.
func (m *mutation) enabledWebhook(id apikey.ID) (w store.Webhook, err error) {
	w, err = findWebhook(context.Background(), m, id, m.dialect.rowLock)
	if err == nil && !w.IsEnabled() {
		err = store.ErrWebhookDisabled
	}
	return w, err
}

// Deliveries implements store.Webhooks.
func (db *DB) Deliveries(ctx context.Context, query store.DeliveryQuery) (all []store.Delivery, err error) {
	c := &conditions{}
	start, end := slices.Concat(query.Webhook[:], make([]byte, len(apikey.ID{}))), slices.Concat(query.Webhook[:], query.Before[:])
	if query.Before.IsZero() {
		end = append(query.Webhook[:], slices.Repeat([]byte{0xff}, len(apikey.ID{}))...)
	}
	c.add(`place >= ` + c.arg(start) + ` AND place < ` + c.arg(end))
	switch query.State {
	case store.StateWaiting:
		c.add(`finished_at IS NULL`)
	case store.StateDelivered:
		c.add(`finished_at IS NOT NULL AND delivered = 1`)
	case store.StateFailed:
		c.add(`finished_at IS NOT NULL AND delivered = 0`)
	}
	err = db.scan(ctx, func() error {
		if _, err := findWebhook(ctx, db.points, query.Webhook, ""); err != nil {
			return err
		}
		all, err = readDeliveries(ctx, db.reader, c.sql()+` ORDER BY place DESC LIMIT `+c.arg(query.Limit), c.args...)
		return err
	})
	return all, err
}

// RetryDelivery implements store.Webhooks.
func (db *DB) RetryDelivery(ctx context.Context, actor store.Actor, id, event apikey.ID) (d store.Delivery, err error) {
	err = db.mutateWebhooks(ctx, actor, func(m *mutation) error {
		if _, err := m.enabledWebhook(id); err != nil {
			return err
		}
		found, err := readDeliveries(context.Background(), m,
			` WHERE place = $1 AND event_id IN (SELECT id FROM audit_events)`, placeOf(id, event[:]))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return store.ErrNoDelivery
		}
		d = found[0]
		d.Since, d.Next, d.Finished, d.OK = m.now, m.now, time.Time{}, false
		return m.exec(`UPDATE webhook_deliveries SET since = $1, next_at = $1, finished_at = NULL, delivered = 0 WHERE place = $2`,
			millis(m.now), placeOf(id, event[:]))
	})
	return d, err
}

func newDelivery(webhook apikey.ID, e *store.Event, now time.Time) store.Delivery {
	return store.Delivery{Webhook: webhook, Event: e.ID, Type: store.EventType(e), Since: now, Next: now}
}

// insertDelivery writes a delivery that waits, unless it is there already.
func insertDelivery(on runner, d *store.Delivery) error {
	return on.exec(`INSERT INTO webhook_deliveries (`+WebhookDeliveryColumns+`)
		VALUES ($1, $2, $3, $4, $5, 0, $6, NULL, 0, NULL, '') ON CONFLICT (place) DO NOTHING`,
		placeOf(d.Webhook, d.Event[:]), d.Webhook[:], d.Event[:], d.Type, millis(d.Since), millis(d.Next))
}

// readDeliveries reads deliveries without what is never shown of them.
func readDeliveries(ctx context.Context, q querier, rest string, args ...any) ([]store.Delivery, error) {
	all := []store.Delivery{}
	err := q.each(ctx, func(r row) error {
		var d store.Delivery
		err := r.Scan(idColumn{&d.Webhook}, idColumn{&d.Event}, &d.Type, timeColumn{&d.Since}, &d.Attempts, timeColumn{&d.Next},
			timeColumn{&d.Finished}, &d.OK, numberColumn{&d.Status}, &d.Error)
		all = append(all, d)
		return err
	}, `SELECT webhook, event_id, type, since, attempts, next_at, finished_at, delivered, status, error
		FROM webhook_deliveries`+rest, args...)
	return all, err
}

// placeOf is the primary key of a webhook's cursor or delivery.
func placeOf(webhook apikey.ID, of []byte) []byte { return slices.Concat(webhook[:], of) }

// readPlaces reads event ids by chain.
func readPlaces(ctx context.Context, q querier, query string, args ...any) (map[string]apikey.ID, error) {
	places := make(map[string]apikey.ID)
	err := q.each(ctx, func(r row) error {
		var chain string
		var event apikey.ID
		err := r.Scan(&chain, idColumn{&event})
		places[chain] = event
		return err
	}, query, args...)
	return places, err
}

// moveCursors moves a webhook's places in chains forward, never back.
func moveCursors(on runner, webhook apikey.ID, to map[string]apikey.ID) error {
	for chain, event := range to {
		err := on.exec(`INSERT INTO webhook_cursors (`+WebhookCursorColumns+`) VALUES ($1, $2, $3, $4)
			ON CONFLICT (place) DO UPDATE SET event_id = excluded.event_id
			WHERE webhook_cursors.event_id < excluded.event_id`,
			placeOf(webhook, []byte(chain)), webhook[:], chain, event[:])
		if err != nil {
			return err
		}
	}
	return nil
}
