package sqlstore

import (
	"context"
	"slices"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

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

// readDeliveries reads deliveries, except for the column that is never shown.
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
