package tracing

import (
	"context"
	"log/slog"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/trace"
)

// LogHandler returns h with trace and span ids added to log lines inside a span.
func (t *Tracer) LogHandler(h slog.Handler) slog.Handler {
	if t == nil {
		return h
	}
	return logHandler{h}
}

type logHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }

// remarks receives the messages that OpenTelemetry would write to standard error. It passes on only the
// text of errors: their values come from environment variables, and may hold the collector's credentials.
type remarks struct{ say func(text string) }

// Init implements logr.LogSink.
func (remarks) Init(logr.RuntimeInfo) {}

// Enabled implements logr.LogSink.
func (remarks) Enabled(int) bool { return false }

// Info implements logr.LogSink.
func (remarks) Info(int, string, ...any) {}

// Error implements logr.LogSink.
func (r remarks) Error(_ error, message string, _ ...any) { r.say(message) }

// WithValues implements logr.LogSink.
func (r remarks) WithValues(...any) logr.LogSink { return r }

// WithName implements logr.LogSink.
func (r remarks) WithName(string) logr.LogSink { return r }
