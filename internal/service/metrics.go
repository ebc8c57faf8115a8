package service

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"apikeyd/handlers"
	"apikeyd/internal/telemetry/metrics"
)

// metricsFlag configures where metrics are served.
type metricsFlag struct {
	Metrics string `env:"APIKEYD_METRICS" placeholder:"ADDRESS" help:"Serve Prometheus metrics, and nothing else, at /metrics of this address, such as 127.0.0.1:9090 (off). They contain no secret, name or owner, but need no key."`
}

// Validate checks the address.
func (f metricsFlag) Validate() error {
	if f.Metrics == "" {
		return nil
	}
	return CheckAddress("--metrics", f.Metrics)
}

// listenMetrics listens for requests of metrics, or returns a noListener if they are off.
func (f metricsFlag) listenMetrics(ctx context.Context) (net.Listener, error) {
	if f.Metrics == "" {
		return noListener{}, nil
	}
	return listenAt(ctx, "--metrics", f.Metrics)
}

// noListener listens nowhere.
type noListener struct{ net.Listener }

// Close implements net.Listener.
func (noListener) Close() error { return nil }

// newMetrics returns the metrics of a service, or nil if they are off. It sets the operations.
func (f metricsFlag) newMetrics(sources metrics.Sources) (_ *metrics.Metrics, err error) {
	if f.Metrics == "" {
		return nil, nil
	}
	if sources.Operations, err = handlers.Operations(); err != nil {
		return nil, err
	}
	return metrics.New(sources)
}

// serveMetrics serves m, unless it is nil, until stop is called.
func serveMetrics(ctx context.Context, listener net.Listener, m *metrics.Metrics, log *slog.Logger) (stop func()) {
	if m == nil {
		return func() {}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	stopServer := serveBeside(listener, &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelWarn), // not worth logging
	})
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	log.Info("serving metrics", "url", urlOf("http", listener.Addr(), "/metrics"))
	return func() {
		cancel()
		running.Wait()
		stopServer()
	}
}
