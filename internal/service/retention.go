package service

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"apikeyd/store"
)

const (
	// minRetention keeps a slip of the pen from emptying the audit log.
	minRetention = 24 * time.Hour
	// retentionInterval is how often old audit events are removed, and how long after the
	// start for the first time. Each time removes those of a day at most: a log is thus
	// never shortened by more than a day in an hour, whatever the clock says.
	retentionInterval = time.Hour
)

// retention removes old audit events while the server runs.
type retention struct {
	log   store.AuditLog
	keep  time.Duration // 0 is for ever
	every time.Duration
	now   func() time.Time
	out   *slog.Logger
}

// run removes what is too old, time and again, until ctx ends.
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
