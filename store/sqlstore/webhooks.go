package sqlstore

import (
	"context"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

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
