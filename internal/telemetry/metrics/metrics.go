// Package metrics exports other packages' counters as Prometheus metrics. No other package imports
// Prometheus.
package metrics

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"apikeyd/handlers"
	"apikeyd/internal/webhook"
	"apikeyd/verify"
)

// Sources are the sources of the metrics. All fields except the functions must be set.
type Sources struct {
	Database   Database
	Verifier   *verify.Verifier
	Operations []string // all values of handlers.Answer.Operation
	Build      Build
	Log        *slog.Logger

	// Unconfirmed reports whether a restored database awaits confirmation; nil means never.
	Unconfirmed func() bool
	// Dropped returns how many log lines were dropped; nil means none.
	Dropped func() uint64
	// Webhooks returns what became of deliveries; nil means that there are none.
	Webhooks func() webhook.Stats
}

// Build identifies the program.
type Build struct{ Version, Revision, GoVersion string }

// Metrics are one service's metrics, in their own registry. A nil *Metrics has none.
type Metrics struct {
	requests    *requests
	connections *connections
	keys        *keys
	backup      *backup
	registry    *prometheus.Registry
	log         *slog.Logger
}

// New returns the metrics of a service. The caller runs Run in the background.
func New(s Sources) (*Metrics, error) {
	m := &Metrics{
		requests: newRequests(s.Operations), connections: newConnections(),
		keys: newKeys(s.Database, s.Log), backup: &backup{db: s.Database, log: s.Log}, registry: prometheus.NewRegistry(), log: s.Log,
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "apikeyd_build_info",
		Help: "The version of the program; always 1.",
		ConstLabels: prometheus.Labels{
			"version": s.Build.Version, "revision": s.Build.Revision, "goversion": s.Build.GoVersion,
		},
	})
	build.Set(1)
	restored := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "apikeyd_restore_unconfirmed",
		Help: "1 if the database was restored and no one has confirmed that later revocations were carried over.",
	}, func() float64 {
		if s.Unconfirmed != nil && s.Unconfirmed() {
			return 1
		}
		return 0
	})
	dropped := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "apikeyd_log_lines_dropped_total",
		Help: "Log lines that were dropped because their reader was too slow or gone.",
	}, func() float64 {
		if s.Dropped == nil {
			return 0
		}
		return float64(s.Dropped())
	})
	for _, c := range []prometheus.Collector{
		build, restored, dropped, m.requests, m.connections, m.keys, m.backup, newVerifier(s.Verifier), newDatabase(s.Database), webhooks{s.Webhooks},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := m.registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}

// Observers returns the observers of the service's requests.
func (m *Metrics) Observers() []handlers.Observer {
	if m == nil {
		return nil
	}
	return []handlers.Observer{m.requests}
}

// ConnState returns the server's ConnState hook, or nil.
func (m *Metrics) ConnState() func(net.Conn, http.ConnState) {
	if m == nil {
		return nil
	}
	return m.connections.changed
}

// scrapes limits the scrapes in flight; others get a 503.
const scrapes = 4

// Handler returns the handler that answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(m.log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: scrapes,
	})
}

// describe returns the description of a metric whose value is read at each scrape.
func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// counter and gauge return such metrics.
func counter(d *prometheus.Desc, value uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func gauge[N int | int64 | float64](d *prometheus.Desc, value N, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
}

// flag returns a gauge that is 1 if on, else 0.
func flag(d *prometheus.Desc, on bool) prometheus.Metric {
	if on {
		return gauge(d, 1)
	}
	return gauge(d, 0)
}
