package service

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"apikeyd/store"
)

const (
	// minRetention keeps a typing error from emptying the audit log.
	minRetention = 24 * time.Hour
	// retentionInterval is how often old audit events are removed, the first time that long after
	// the start. Each run removes at most one day's events, so a wrong clock never costs more
	// than a day of the log per hour.
	retentionInterval = time.Hour
)

// retention removes old audit events while the server runs.
type retention struct {
	log   store.AuditLog
	keep  time.Duration // 0 is forever
	every time.Duration
	now   func() time.Time
	out   *slog.Logger
}

// run removes old events at each interval until ctx ends.
func (r retention) run(ctx context.Context) {
	if r.keep == 0 {
		return
	}
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.prune(ctx)
		}
	}
}

func (r retention) prune(ctx context.Context) {
	before := r.now().Add(-r.keep)
	removed, err := r.log.PruneEvents(ctx, before)
	if removed > 0 {
		r.out.Info("removed old audit events", "events", removed, "older_than", r.keep)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		r.out.Warn("old audit events could not be removed; trying again later", "error", err)
	}
}
