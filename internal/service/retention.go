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
	// seenRetention is how long it is kept what calls with a key showed.
	seenRetention = 31 * 24 * time.Hour // 30 whole days, and today
	// sessionRetention is how long the key of a session is kept after its end, for those who ask who signed in.
	sessionRetention = 7 * 24 * time.Hour
	// noticeRetention is how long it is known that a notice was written of something that has ended.
	noticeRetention = 31 * 24 * time.Hour
	// retentionInterval is how often old audit events and usage counts are removed, the first time that long after
	// the start. Each run removes at most one day's, so a wrong clock never costs more than a day of them per hour.
	retentionInterval = time.Hour
)

// retention removes old audit events and usage counts while the server runs.
type retention struct {
	store interface {
		PruneEvents(ctx context.Context, before time.Time) (removed int, err error)
		PruneSessions(ctx context.Context, before time.Time) (removed int, err error)
		PruneUsage(ctx context.Context, r store.Retention) (rows int, err error)
	}
	events      time.Duration // how long audit events are kept; 0 is forever
	hours, days time.Duration // how long usage counts are
	every       time.Duration
	now         func() time.Time
	out         *slog.Logger
}

// run removes what is old at each interval until ctx ends.
func (r retention) run(ctx context.Context) {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.pruneEvents(ctx)
			r.pruneUsage(ctx)
			r.pruneSessions(ctx)
		}
	}
}

func (r retention) pruneEvents(ctx context.Context) {
	if r.events == 0 {
		return
	}
	removed, err := r.store.PruneEvents(ctx, r.now().Add(-r.events))
	if removed > 0 {
		r.out.Info("removed old audit events", "events", removed, "older_than", r.events)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		r.out.Warn("old audit events could not be removed; trying again later", "error", err)
	}
}

func (r retention) pruneSessions(ctx context.Context) {
	_, err := r.store.PruneSessions(ctx, r.now().Add(-sessionRetention))
	if err != nil && !errors.Is(err, context.Canceled) {
		r.out.Warn("the keys of old sessions could not be removed; trying again later", "error", err)
	}
}

func (r retention) pruneUsage(ctx context.Context) {
	now := r.now()
	_, err := r.store.PruneUsage(ctx, store.Retention{
		Hours: now.Add(-r.hours), Days: now.Add(-r.days), Seen: now.Add(-seenRetention), Notices: now.Add(-noticeRetention),
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		r.out.Warn("old usage counts could not be removed; trying again later", "error", err)
	}
}
