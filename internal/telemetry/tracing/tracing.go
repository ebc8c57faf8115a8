// Package tracing sends OpenTelemetry traces of requests, and of what they ask of the
// store, over OTLP/HTTP. A span holds nothing of a caller's choosing: no name, no path, no
// query, no header.
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

// wanted reports whether the standard environment variables, as lookup has them, ask for
// traces: they name where to send them, or an exporter. An empty variable counts as unset.
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

// Check reports what Start would refuse in the standard environment variables.
func Check(lookup func(name string) (string, bool)) error {
	_, err := wanted(lookup)
	return err
}

// Tracer makes spans and sends them. A nil one makes none, and what it would wrap stays as
// it is.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// Start returns a Tracer if the standard environment variables ask for one, else nil. The
// libraries read the rest of these variables themselves. What there is to say goes to log.
// The caller must Close the Tracer.
func Start(
	ctx context.Context, lookup func(name string) (string, bool), log *slog.Logger, version string,
) (*Tracer, error) {
	if ok, err := wanted(lookup); !ok {
		return nil, err
	}
	hear(log)
	client, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OpenTelemetry: %w", err)
	}
	tracer, err := New(ctx, client, log, version)
	if err != nil {
		return nil, errors.Join(err, client.Shutdown(ctx))
	}
	log.Info("sending traces")
	return tracer, nil
}

// New returns a Tracer that sends by an exporter, and shuts it down when it is closed.
func New(ctx context.Context, to sdk.SpanExporter, log *slog.Logger, version string) (*Tracer, error) {
	res, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "apikeyd"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(), // last: it overrides
	)
	if err != nil {
		return nil, fmt.Errorf("OpenTelemetry: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithResource(res), sdk.WithBatcher(&exporter{SpanExporter: to, log: log}))
	return &Tracer{provider: provider, tracer: provider.Tracer("apikeyd", trace.WithInstrumentationVersion(version))}, nil
}

// Close sends what was not sent yet, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// hear has the log told of what the SDK does not return: OpenTelemetry knows one place for
// that in a process, and another for its own log.
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
