package metrics

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"apikeyd/apikey"
	"apikeyd/store"
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
	store.Summary
	at time.Time
}

var (
	keysByStatus = describe("apikeyd_keys",
		"Keys by status, as last counted.", "status")
	keysExpiring = describe("apikeyd_keys_expiring_soon",
		"Active keys that end within 30 days, as last counted.")
	keysCounted = describe("apikeyd_keys_counted_timestamp_seconds",
		"When keys were last counted: once a minute, or less often if that takes over 0.6 s.")
)

func newKeys(db Database, log *slog.Logger) *keys { return &keys{db: db, log: log} }

// Run counts the keys and looks for backups periodically, until ctx ends.
func (m *Metrics) Run(ctx context.Context) {
	for {
		began := time.Now()
		m.backup.look(ctx)
		m.keys.count(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(countInterval, countShare*time.Since(began))):
		}
	}
}

func (k *keys) count(ctx context.Context) {
	began := time.Now()
	summary, err := k.db.QuickSummary(ctx, began)
	switch {
	case err == nil:
		k.last.Store(&keyCount{summary, began})
	case ctx.Err() == nil:
		k.log.Warn("the keys could not be counted", "error", err)
	}
}

// Describe implements prometheus.Collector.
func (*keys) Describe(to chan<- *prometheus.Desc) {
	to <- keysByStatus
	to <- keysExpiring
	to <- keysCounted
}

// Collect implements prometheus.Collector.
func (k *keys) Collect(to chan<- prometheus.Metric) {
	last := k.last.Load()
	if last == nil {
		return
	}
	to <- gauge(keysByStatus, last.Active, string(apikey.StatusActive))
	to <- gauge(keysByStatus, last.Expired, string(apikey.StatusExpired))
	to <- gauge(keysByStatus, last.Revoked, string(apikey.StatusRevoked))
	to <- gauge(keysExpiring, last.ExpiringSoon)
	to <- gauge(keysCounted, float64(last.at.UnixMilli())/1000)
}
