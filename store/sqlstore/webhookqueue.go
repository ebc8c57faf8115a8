package sqlstore

import (
	"bytes"
	"context"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

// eventsAtATime is how many events of each chain one call looks at.
const eventsAtATime = 200

// newEvents are deliveries of further events to a webhook, and how far they move its cursors.
type newEvents struct {
	deliveries []store.Delivery
	cursors    map[string]apikey.ID // by chain
	more       bool                 // there are further events
}

// TakeDeliveries implements store.WebhookQueue. Events are looked at before the transaction: no change waits for that.
func (db *DB) TakeDeliveries(ctx context.Context, id apikey.ID, limit int) (w store.Webhook, due []store.DueDelivery, err error) {
	for {
		w, due, more, err := db.takeBatch(ctx, id, limit)
		if err != nil || len(due) > 0 || !more {
			return w, due, err
		}
	}
}

// takeBatch is TakeDeliveries, but looks at a limited number of events.
func (db *DB) takeBatch(
	ctx context.Context, id apikey.ID, limit int,
) (w store.Webhook, due []store.DueDelivery, more bool, err error) {
	var found newEvents
	err = db.read(ctx, func() error {
		if w, err = findWebhook(ctx, db.points, id, ""); err != nil {
			return err
		}
		if !w.IsEnabled() {
			return store.ErrWebhookDisabled
		}
		found, err = db.findEvents(ctx, &w)
		return err
	})
	if err != nil {
		return w, nil, false, err
	}
	if len(found.cursors) > 0 {
		err := db.writer.background(ctx, func(t *transaction) error { return t.enqueue(id, found, db.now()) })
		if err != nil {
			return w, nil, false, err
		}
	}
	err = db.read(ctx, func() error {
		due, err = db.dueDeliveries(ctx, id, limit)
		return err
	})
	return w, due, found.more, err
}

// findEvents finds further events for a webhook, unless too many deliveries wait.
func (db *DB) findEvents(ctx context.Context, w *store.Webhook) (found newEvents, err error) {
	var waiting int
	err = first(ctx, db.points, `SELECT count(*) FROM webhook_deliveries WHERE webhook = $1 AND finished_at IS NULL`, w.ID[:]).
		Scan(&waiting)
	if err != nil || waiting >= store.MaxWaitingDeliveries {
		return found, err
	}
	cursors, err := readPlaces(ctx, db.points, `SELECT chain, event_id FROM webhook_cursors WHERE webhook = $1`, w.ID[:])
	if err != nil {
		return found, err
	}
	heads, err := readPlaces(ctx, db.points, `SELECT chain, event_id FROM audit_chains WHERE seq > 0 ORDER BY chain`)
	if err != nil {
		return found, err
	}
	found.cursors = make(map[string]apikey.ID)
	for chain, head := range heads {
		from, room := cursors[chain], store.MaxWaitingDeliveries-waiting-len(found.deliveries)
		if bytes.Compare(head[:], from[:]) <= 0 || room <= 0 {
			continue
		}
		limit := min(eventsAtATime, room)
		events, err := readEvents(ctx, db.points, `SELECT `+EventColumns+` FROM audit_events
			WHERE chain = $1 AND id > $2 ORDER BY id LIMIT $3`, chain, from[:], limit)
		if err != nil {
			return found, err
		}
		found.more = found.more || len(events) == limit
		if len(events) == 0 {
			found.cursors[chain] = head // retention removed all of them
			continue
		}
		for i := range events {
			if w.Receives(&events[i]) {
				found.deliveries = append(found.deliveries, newDelivery(w.ID, &events[i], db.now()))
			}
		}
		found.cursors[chain] = events[len(events)-1].ID
	}
	return found, nil
}

// enqueue writes the deliveries of further events, and removes old deliveries.
func (t *transaction) enqueue(id apikey.ID, found newEvents, now time.Time) error {
	m := &mutation{transaction: t}
	if _, err := m.enabledWebhook(id); err != nil {
		return err
	}
	for i := range found.deliveries {
		if err := insertDelivery(t, &found.deliveries[i]); err != nil {
			return err
		}
	}
	if err := moveCursors(t, id, found.cursors); err != nil {
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

// recoveredAfter is how long a receiver must have failed before its first success makes all waiting deliveries due. A
// receiver that refuses a single event must not get it again after each other event.
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

// oldestWaiting returns the id of the oldest event that waits for delivery to an enabled webhook; zero if none waits.
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

// deliveredToAll returns a function that reports whether an event of a chain was delivered to all enabled webhooks.
// Retention keeps the others.
func (t *transaction) deliveredToAll(chain string) (isDelivered func(event []byte) bool, err error) {
	ctx := context.Background()
	waiting, err := oldestWaiting(ctx, t)
	if err != nil {
		return nil, err
	}
	var slowest []byte // the cursor of the webhook that is furthest behind; nil without webhooks
	err = t.each(ctx, func(r row) error {
		var cursor apikey.ID // zero for a webhook that has no cursor in the chain
		err := r.Scan(idColumn{&cursor})
		if slowest == nil || bytes.Compare(cursor[:], slowest) < 0 {
			slowest = cursor[:]
		}
		return err
	}, `SELECT c.event_id FROM webhooks LEFT JOIN webhook_cursors AS c ON c.webhook = webhooks.id AND c.chain = $1
		WHERE disabled_at IS NULL`, chain)
	return func(event []byte) bool {
		return (slowest == nil || bytes.Compare(event, slowest) <= 0) && (waiting.IsZero() || bytes.Compare(event, waiting[:]) < 0)
	}, err
}
