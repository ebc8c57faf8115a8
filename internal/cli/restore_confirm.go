package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"apikeyd/store/sqlstore"
)

// notReconciled is what the log and /readyz say of a restored database.
const notReconciled = "the database was restored from a backup and not reconciled: keys that were revoked since may work again"

// confirm records that the operator reconciled a restored database.
func (c *restoreCommand) confirm(ctx context.Context, s streams) (err error) {
	db, err := openStore(ctx, c.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	restored, err := db.ConfirmRestored(ctx)
	if errors.Is(err, sqlstore.ErrNotRestored) {
		_, err = fmt.Fprintf(s.out, "nothing to confirm: no restore of %s awaits it\n", sqlstore.Name(c.Database))
		return err
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "confirmed the restore of %s at %s\n", sqlstore.Name(c.Database), timestamp(restored.At))
	return err
}

// checkRestored is the doctor's look at whether a restore awaits confirmation.
func (c *doctorCommand) checkRestored(ctx context.Context, e *sqlstore.Examination) finding {
	r, err := e.Restored(ctx)
	switch {
	case err != nil:
		return found("%v", err).fail(askBackup)
	case r.At.IsZero():
		return found("no restore awaits confirmation")
	case !r.IsOpen():
		return found("restored at %s; confirmed at %s", timestamp(r.At), timestamp(r.ConfirmedAt))
	}
	return found("restored at %s, and nobody confirmed that what was revoked since is revoked", timestamp(r.At)).
		warn("reconcile it (docs/backup.md), then run apikeyd restore --confirm")
}

// confirmInterval is how often a server looks whether its restored database was confirmed.
const confirmInterval = 5 * time.Second

// restoreWatch knows whether the database of a server was restored and awaits confirmation.
type restoreWatch struct {
	db   *sqlstore.DB
	log  *slog.Logger
	open atomic.Bool
}

// newRestoreWatch looks once, and warns.
func newRestoreWatch(ctx context.Context, db *sqlstore.DB, log *slog.Logger) (*restoreWatch, error) {
	w := &restoreWatch{db: db, log: log}
	r, err := db.Restored(ctx)
	if err != nil {
		return nil, err
	}
	if w.open.Store(r.IsOpen()); r.IsOpen() {
		attributes := []any{"restored_at", timestamp(r.At)}
		if !r.Knows.IsZero() {
			attributes = append(attributes, "knows_until", timestamp(r.Knows))
		}
		log.Warn(notReconciled+"; revoke them, then run apikeyd restore --confirm", attributes...)
	}
	return w, nil
}

// run looks until the restore is confirmed. A restored database cannot come while one serves.
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
				w.log.Info("the restore of the database was confirmed", "restored_at", timestamp(r.At))
			}
		}
	}
}

// notices are what whoever looks after the service should know.
func (w *restoreWatch) notices() []string {
	if w.open.Load() {
		return []string{notReconciled}
	}
	return nil
}

// warnings are the notices as the console shows them.
func (w *restoreWatch) warnings() []string {
	if w.open.Load() {
		return []string{notReconciled + ". Revoke them, then run apikeyd restore --confirm on the server."}
	}
	return nil
}
