package tracing

import (
	"context"
	"log/slog"
	"sync/atomic"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"apikeyd/apikey"
)

// exporter is one whose failure is said once when it begins and once when it ends, rather
// than for each batch. What could not be sent is lost; no request waits for it.
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
