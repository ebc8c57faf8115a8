package metrics

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apikeyd/apikey"
)

const (
	// countInterval is the time between counts, unless there are very many keys.
	countInterval = time.Minute
	// countShare limits the cost: after a count, at least a hundred times its duration passes before the
	// next.
	countShare = 100
)

// keys collects the number of keys by status. Time alone changes a key's status, so the keys must be
// counted; no scrape waits for that.
type keys struct {
	db   Database
	log  *slog.Logger
	last atomic.Pointer[keyCount] // nil until the first count
}

type keyCount struct {
	at       time.Time
	byStatus map[apikey.Status]int
}

var (
	keysByStatus = describe("apikeyd_keys",
		"Keys by status, as last counted.", "status")
	keysCounted = describe("apikeyd_keys_counted_timestamp_seconds",
		"When keys were last counted: once a minute, or less often if that takes over 0.6 s.")
)

func newKeys(db Database, log *slog.Logger) *keys { return &keys{db: db, log: log} }

// Run counts the keys periodically, until ctx ends.
func (m *Metrics) Run(ctx context.Context) {
	for {
		began := time.Now()
		byStatus, err := m.keys.db.CountByStatus(ctx, began)
		switch {
		case err == nil:
			m.keys.last.Store(&keyCount{began, byStatus})
		case ctx.Err() == nil:
			m.keys.log.Warn("the keys could not be counted", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(countInterval, countShare*time.Since(began))):
		}
	}
}

// Describe implements prometheus.Collector.
func (*keys) Describe(to chan<- *prometheus.Desc) {
	to <- keysByStatus
	to <- keysCounted
}

// Collect implements prometheus.Collector.
func (k *keys) Collect(to chan<- prometheus.Metric) {
	last := k.last.Load()
	if last == nil {
		return
	}
	for status, n := range last.byStatus {
		to <- gauge(keysByStatus, n, string(status))
	}
	to <- gauge(keysCounted, float64(last.at.UnixMilli())/1000)
}
