package tracing

import (
	"context"
	"log/slog"
	"sync/atomic"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"apikeyd/apikey"
)

// exporter logs once when exports begin to fail and once when they work again, rather than for each
// batch. Spans that could not be sent are lost; no request waits for them.
type exporter struct {
	sdk.SpanExporter
	log    *slog.Logger
	failed atomic.Bool
}

// ExportSpans implements sdk.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if failed := err != nil; e.failed.Swap(failed) != failed {
		if failed {
			e.log.Warn("traces cannot be sent and are dropped", "error", apikey.Redact(err.Error()))
		} else {
			e.log.Info("traces can be sent again")
		}
	}
	return nil
}
