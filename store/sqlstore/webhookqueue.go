package sqlstore

import (
	"bytes"
	"context"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

// eventsHeard is how many events of each chain one call looks at.
const eventsHeard = 200

// heard is what a webhook is to hear, and how far its cursors move.
type heard struct {
	deliveries []store.Delivery
	places     map[string]apikey.ID
	more       bool // there are further events
}

// TakeDeliveries implements store.WebhookQueue. Events are looked at before the transaction: no change waits for that.
func (db *DB) TakeDeliveries(ctx context.Context, id apikey.ID, limit int) (w store.Webhook, due []store.DueDelivery, err error) {
	for {
		w, due, more, err := db.takeSome(ctx, id, limit)
		if err != nil || len(due) > 0 || !more {
			return w, due, err
		}
	}
}

// takeSome is TakeDeliveries, but looks at a limited number of events.
func (db *DB) takeSome(
	ctx context.Context, id apikey.ID, limit int,
) (w store.Webhook, due []store.DueDelivery, further bool, err error) {
	var more heard
	err = db.read(ctx, func() error {
		if w, err = findWebhook(ctx, db.points, id, ""); err != nil {
			return err
		}
		if !w.IsEnabled() {
			return store.ErrWebhookDisabled
		}
		more, err = db.listen(ctx, &w)
		return err
	})
	if err != nil {
		return w, nil, false, err
	}
	if len(more.places) > 0 {
		err := db.writer.background(ctx, func(t *transaction) error { return t.hear(id, more, db.now()) })
		if err != nil {
			return w, nil, false, err
		}
	}
	err = db.read(ctx, func() error {
		due, err = db.dueDeliveries(ctx, id, limit)
		return err
	})
	return w, due, more.more, err
}

// listen finds further events for a webhook, unless too many deliveries wait.
func (db *DB) listen(ctx context.Context, w *store.Webhook) (h heard, err error) {
	var waiting int
	err = first(ctx, db.points, `SELECT count(*) FROM webhook_deliveries WHERE webhook = $1 AND finished_at IS NULL`, w.ID[:]).
		Scan(&waiting)
	if err != nil || waiting >= store.MaxWaitingDeliveries {
		return h, err
	}
	cursors, err := readPlaces(ctx, db.points, `SELECT chain, event_id FROM webhook_cursors WHERE webhook = $1`, w.ID[:])
	if err != nil {
		return h, err
	}
	heads, err := readPlaces(ctx, db.points, `SELECT chain, event_id FROM audit_chains WHERE seq > 0 ORDER BY chain`)
	if err != nil {
		return h, err
	}
	h.places = make(map[string]apikey.ID)
	for chain, head := range heads {
		from, room := cursors[chain], store.MaxWaitingDeliveries-waiting-len(h.deliveries)
		if bytes.Compare(head[:], from[:]) <= 0 || room <= 0 {
			continue
		}
		limit := min(eventsHeard, room)
		events, err := readEvents(ctx, db.points, `SELECT `+EventColumns+` FROM audit_events
			WHERE chain = $1 AND id > $2 ORDER BY id LIMIT $3`, chain, from[:], limit)
		if err != nil {
			return h, err
		}
		h.more = h.more || len(events) == limit
		if len(events) == 0 {
			h.places[chain] = head // retention removed all of them
			continue
		}
		for i := range events {
			if w.Hears(&events[i]) {
				h.deliveries = append(h.deliveries, newDelivery(w.ID, &events[i], db.now()))
			}
		}
		h.places[chain] = events[len(events)-1].ID
	}
	return h, nil
}

// hear writes deliveries that a webhook is to get, and removes old ones.
func (t *transaction) hear(id apikey.ID, h heard, now time.Time) error {
	m := &mutation{transaction: t}
	if _, err := m.enabledWebhook(id); err != nil {
		return err
	}
	for i := range h.deliveries {
		if err := insertDelivery(t, &h.deliveries[i]); err != nil {
			return err
		}
	}
	if err := moveCursors(t, id, h.places); err != nil {
		return err
	}
	const finished = `FROM webhook_deliveries WHERE webhook = $1 AND place >= $2 AND finished_at IS NOT NULL`
	return t.exec(`DELETE `+finished+` AND (finished_at < $3 OR place <=
			(SELECT place `+finished+` ORDER BY place DESC LIMIT 1 OFFSET $4))`,
		id[:], id[:], millis(now.Add(-store.KeepDeliveries)), store.MaxFinishedDeliveries)
}

// dueDeliveries returns deliveries that are due, with their events. One whose event was removed by retention has the
// zero Event.
func (db *DB) dueDeliveries(ctx context.Context, id apikey.ID, limit int) (due []store.DueDelivery, err error) {
	waiting, err := readDeliveries(ctx, db.points, ` WHERE webhook = $1 AND finished_at IS NULL AND next_at <= $2
		ORDER BY next_at, event_id LIMIT $3`, id[:], millis(db.now()), limit)
	if err != nil {
		return nil, err
	}
	for _, d := range waiting {
		events, err := readEvents(ctx, db.points, `SELECT `+EventColumns+` FROM audit_events WHERE id = $1`, d.Event[:])
		if err != nil {
			return nil, err
		}
		one := store.DueDelivery{Delivery: d}
		if len(events) > 0 {
			one.Of = events[0]
		}
		due = append(due, one)
	}
	return due, nil
}

// recoveredAfter is how long a receiver must have failed for its first success to make everything due that waits. A
// receiver that refuses one event only must not get it again with each other one.
const recoveredAfter = time.Minute

// RecordAttempts implements store.WebhookQueue.
func (db *DB) RecordAttempts(ctx context.Context, id apikey.ID, attempts []store.Attempt) error {
	return db.writer.background(ctx, func(t *transaction) error {
		m := db.newMutation(t, store.Operator("webhooks"))
		w, err := findWebhook(context.Background(), m, id, m.dialect.rowLock)
		if err != nil {
			return err
		}
		before, disable := w, ""
		for _, a := range attempts {
			if err := m.recordAttempt(&w, a); err != nil {
				return err
			}
			if disable == "" || a.Disable == store.DisabledGone {
				disable = a.Disable
			}
		}
		if disable != "" && w.IsEnabled() {
			w.DisabledAt, w.DisabledReason = m.now, disable
			return m.updateWebhook(&before, &w)
		}
		if w.FailingSince.Equal(before.FailingSince) {
			return nil
		}
		return m.exec(`UPDATE webhooks SET failing_since = $1 WHERE id = $2`, millis(w.FailingSince), id[:])
	})
}

func (m *mutation) recordAttempt(w *store.Webhook, a store.Attempt) error {
	status := numberColumn{&a.Status}.value()
	place := placeOf(w.ID, a.Event[:])
	if !a.OK {
		if w.FailingSince.IsZero() {
			w.FailingSince = m.now
		}
		var finished time.Time
		if a.Next.IsZero() && a.Disable == "" {
			finished = m.now
		}
		return m.exec(`UPDATE webhook_deliveries SET attempts = attempts + 1, next_at = $1, finished_at = $2, status = $3, error = $4
			WHERE place = $5 AND finished_at IS NULL`, millis(a.Next), millis(finished), status, a.Error, place)
	}
	if !w.FailingSince.IsZero() && m.now.Sub(w.FailingSince) >= recoveredAfter {
		err := m.exec(`UPDATE webhook_deliveries SET next_at = $1 WHERE webhook = $2 AND finished_at IS NULL`, millis(m.now), w.ID[:])
		if err != nil {
			return err
		}
	}
	w.FailingSince = time.Time{}
	return m.exec(`UPDATE webhook_deliveries SET attempts = attempts + 1, next_at = NULL, finished_at = $1, delivered = 1,
			status = $2, error = '' WHERE place = $3 AND finished_at IS NULL`, millis(m.now), status, place)
}

// OldestWaiting implements store.WebhookQueue.
func (db *DB) OldestWaiting(ctx context.Context) (oldest time.Time, err error) {
	err = db.read(ctx, func() error {
		oldest = time.Time{}
		id, err := oldestWaiting(ctx, db.points)
		if !id.IsZero() {
			oldest = timeOf(id[:])
		}
		return err
	})
	return oldest, err
}

// oldestWaiting returns the id of the oldest event of which a delivery to an enabled webhook waits.
func oldestWaiting(ctx context.Context, q querier) (oldest apikey.ID, err error) {
	err = q.each(ctx, func(r row) error {
		if err := r.Scan(idColumn{&oldest}); err != nil {
			return err
		}
		return sqlitefile.ErrEnough
	}, `SELECT event_id FROM webhook_deliveries WHERE finished_at IS NULL
			AND webhook IN (SELECT id FROM webhooks WHERE disabled_at IS NULL) ORDER BY event_id LIMIT 1`)
	return oldest, err
}

// heardBy returns whether all enabled webhooks have got an event of a chain. Retention leaves the others.
func (t *transaction) heardBy(chain string) (heard func(event []byte) bool, err error) {
	ctx := context.Background()
	waiting, err := oldestWaiting(ctx, t)
	if err != nil {
		return nil, err
	}
	var least []byte // of the webhooks' places; nil without webhooks
	err = t.each(ctx, func(r row) error {
		var place apikey.ID // zero for a webhook that has heard nothing of the chain
		err := r.Scan(idColumn{&place})
		if least == nil || bytes.Compare(place[:], least) < 0 {
			least = place[:]
		}
		return err
	}, `SELECT c.event_id FROM webhooks LEFT JOIN webhook_cursors AS c ON c.webhook = webhooks.id AND c.chain = $1
		WHERE disabled_at IS NULL`, chain)
	return func(event []byte) bool {
		return (least == nil || bytes.Compare(event, least) <= 0) && (waiting.IsZero() || bytes.Compare(event, waiting[:]) < 0)
	}, err
}
