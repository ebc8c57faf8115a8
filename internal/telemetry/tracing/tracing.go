// Package tracing sends OpenTelemetry traces of requests and of their calls to the store, over
// OTLP/HTTP. Spans hold nothing that a caller controls: no name, no path, no query, no header.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"apikeyd/apikey"
	"apikeyd/internal/telemetry/logging"
)

// wanted reports whether the standard environment variables, read by lookup, ask for traces: they name
// an endpoint or an exporter. An empty variable counts as unset.
func wanted(lookup func(name string) (string, bool)) (bool, error) {
	get := func(name string) string {
		value, _ := lookup(name)
		return strings.TrimSpace(value)
	}
	exporter := get("OTEL_TRACES_EXPORTER")
	switch {
	case strings.EqualFold(get("OTEL_SDK_DISABLED"), "true"), exporter == "none":
		return false, nil
	case exporter != "" && exporter != "otlp":
		return false, errors.New("OTEL_TRACES_EXPORTER must be otlp or none")
	case exporter == "" && get("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "":
		return false, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		switch get(name) {
		case "", "http/protobuf", "http/json":
		default:
			return false, fmt.Errorf("%s must be http/protobuf or http/json", name)
		}
	}
	return true, nil
}

// Check returns the error that Start would return for the standard environment variables.
func Check(lookup func(name string) (string, bool)) error {
	_, err := wanted(lookup)
	return err
}

// Tracer makes spans and sends them. A nil *Tracer makes none, and wraps nothing.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// Start returns a Tracer if the standard environment variables ask for one, else nil. OpenTelemetry
// reads the other variables itself; its trouble goes to log. The caller must Close the Tracer.
func Start(
	ctx context.Context, lookup func(name string) (string, bool), log *slog.Logger, version string,
) (*Tracer, error) {
	if ok, err := wanted(lookup); !ok {
		return nil, err
	}
	hear(log)
	client, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("making OpenTelemetry's client: %w", err)
	}
	tracer, err := New(ctx, client, log, version)
	if err != nil {
		return nil, errors.Join(err, client.Shutdown(ctx))
	}
	log.Info("sending traces")
	return tracer, nil
}

// New returns a Tracer that sends through an exporter. Close shuts the exporter down.
func New(ctx context.Context, to sdk.SpanExporter, log *slog.Logger, version string) (*Tracer, error) {
	res, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "apikeyd"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(), // last: it overrides
	)
	if err != nil {
		return nil, fmt.Errorf("reading OpenTelemetry's environment: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithResource(res), sdk.WithBatcher(&exporter{SpanExporter: to, log: log}))
	return &Tracer{provider: provider, tracer: provider.Tracer("apikeyd", trace.WithInstrumentationVersion(version))}, nil
}

// Close sends the remaining spans, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// hear sends the SDK's asynchronous errors to log. OpenTelemetry has one error handler and one logger
// for the whole process.
func hear(log *slog.Logger) {
	const kind = "OpenTelemetry"
	few := logging.NewLimiter(1, func(_ string, held int) { log.Warn("more trouble with traces", "count", held) })
	say := func(text string) {
		if few.Pass(kind) {
			log.Warn("trouble with traces", "error", apikey.Redact(text))
		}
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { say(err.Error()) }))
	otel.SetLogger(logr.New(remarks{say}))
}
