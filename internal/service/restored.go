package service

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"apikeyd/apikey"
	"apikeyd/store/sqlstore"
)

// notReconciled is what the log and /readyz say about a restored database.
const notReconciled = "the database was restored from a backup and not reconciled: keys that were revoked since may work again"

// confirmInterval is how often a server checks whether the restore was confirmed.
const confirmInterval = 5 * time.Second

// restoreWatch knows whether the database was restored and awaits confirmation.
type restoreWatch struct {
	db   *sqlstore.DB
	log  *slog.Logger
	open atomic.Bool
}

// newRestoreWatch checks once, and warns.
func newRestoreWatch(ctx context.Context, db *sqlstore.DB, log *slog.Logger) (*restoreWatch, error) {
	w := &restoreWatch{db: db, log: log}
	r, err := db.Restored(ctx)
	if err != nil {
		return nil, err
	}
	if w.open.Store(r.IsOpen()); r.IsOpen() {
		attributes := []any{"restored_at", apikey.Timestamp(r.At).String()}
		if !r.Knows.IsZero() {
			attributes = append(attributes, "knows_until", apikey.Timestamp(r.Knows).String())
		}
		log.Warn(notReconciled+"; revoke them, then run apikeyd restore --confirm", attributes...)
	}
	return w, nil
}

// run checks until the restore is confirmed. No restore can begin while the server runs.
func (w *restoreWatch) run(ctx context.Context) {
	tick := time.NewTicker(confirmInterval)
	defer tick.Stop()
	for w.open.Load() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if r, err := w.db.Restored(ctx); err == nil && !r.IsOpen() {
				w.open.Store(false)
				w.log.Info("the restore of the database was confirmed", "restored_at", apikey.Timestamp(r.At).String())
			}
		}
	}
}

// notices are shown in /readyz.
func (w *restoreWatch) notices() []string {
	if w.open.Load() {
		return []string{notReconciled}
	}
	return nil
}

// warnings are shown in the console.
func (w *restoreWatch) warnings() []string {
	if w.open.Load() {
		return []string{notReconciled + ". Revoke them, then run apikeyd restore --confirm on the server."}
	}
	return nil
}
