package metrics

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// backup collects when the last backup was made, which the database knows; no scrape waits for that.
type backup struct {
	db   Database
	log  *slog.Logger
	last atomic.Pointer[time.Time] // nil until it was read
}

var lastBackup = describe("apikeyd_last_backup_timestamp_seconds",
	"When apikeyd backup made its last backup, as read once a minute; absent if it made none, and with PostgreSQL.")

// look reads when the last backup was made.
func (b *backup) look(ctx context.Context) {
	last, err := b.db.LastBackup(ctx)
	switch {
	case err == nil:
		b.last.Store(&last)
	case ctx.Err() == nil:
		b.log.Warn("the time of the last backup could not be read", "error", err)
	}
}

// Describe implements prometheus.Collector.
func (*backup) Describe(to chan<- *prometheus.Desc) { to <- lastBackup }

// Collect implements prometheus.Collector.
func (b *backup) Collect(to chan<- prometheus.Metric) {
	if last := b.last.Load(); last != nil && !last.IsZero() {
		to <- gauge(lastBackup, float64(last.UnixMilli())/1000)
	}
}
