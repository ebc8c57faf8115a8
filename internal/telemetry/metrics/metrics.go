// Package metrics makes Prometheus metrics of what the other packages count. None of them
// knows Prometheus.
package metrics

import (
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"apikeyd/handlers"
	"apikeyd/verify"
)

// Sources are what the metrics tell about. All fields but Unconfirmed must be set.
type Sources struct {
	Database   Database
	Verifier   *verify.Verifier
	Operations []string // that a request can be about
	Build      Build
	Log        *slog.Logger

	// Unconfirmed reports whether the database was restored and awaits confirmation; nil is
	// never.
	Unconfirmed func() bool
}

// Build says which program this is.
type Build struct{ Version, Revision, GoVersion string }

// Metrics are the metrics of one service, in a registry of their own. A nil one has none.
type Metrics struct {
	requests    *requests
	connections *connections
	keys        *keys
	registry    *prometheus.Registry
	log         *slog.Logger
}

// New returns the metrics of a service. The caller runs Run beside it.
func New(s Sources) (*Metrics, error) {
	m := &Metrics{
		requests: newRequests(s.Operations), connections: newConnections(),
		keys: newKeys(s.Database, s.Log), registry: prometheus.NewRegistry(), log: s.Log,
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
	for _, c := range []prometheus.Collector{
		build, restored, m.requests, m.connections, m.keys, newVerifier(s.Verifier), newDatabase(s.Database),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := m.registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Observers are what the service must tell of its requests.
func (m *Metrics) Observers() []handlers.Observer {
	if m == nil {
		return nil
	}
	return []handlers.Observer{m.requests}
}

// ConnState is what the server must tell of its connections; nil for nothing.
func (m *Metrics) ConnState() func(net.Conn, http.ConnState) {
	if m == nil {
		return nil
	}
	return m.connections.changed
}

// scrapes is how many scrapes are answered at once; others are told to come again.
const scrapes = 4

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(m.log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: scrapes,
	})
}

// describe returns the description of a metric that is made anew for each scrape.
func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// counter and gauge are such metrics.
func counter(d *prometheus.Desc, value uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func gauge[N int | int64 | float64](d *prometheus.Desc, value N, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
}
