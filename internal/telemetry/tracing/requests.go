package tracing

import (
	"context"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"apikeyd/handlers"
)

// Observers returns the observers of the service's requests.
func (t *Tracer) Observers() []handlers.Observer {
	if t == nil {
		return nil
	}
	return []handlers.Observer{requests{t.tracer}}
}

// requests makes a span of each request.
type requests struct{ tracer trace.Tracer }

// Began implements handlers.Observer: it starts a request's span, within the caller's trace if there is
// one (W3C Trace Context).
func (q requests) Began(ctx context.Context, r *http.Request) context.Context {
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	if caller := trace.SpanContextFromContext(ctx); caller.IsValid() {
		// The caller controls the trace state, which would be sent on.
		ctx = trace.ContextWithRemoteSpanContext(ctx, caller.WithTraceState(trace.TraceState{}))
	}
	ctx, span := q.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer))
	if !span.IsRecording() {
		return ctx
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	span.SetAttributes(
		attribute.String("http.request.method", knownMethod(r.Method)),
		attribute.String("url.scheme", scheme),
		attribute.String("network.protocol.version", strconv.Itoa(r.ProtoMajor)+"."+strconv.Itoa(r.ProtoMinor)),
	)
	return ctx
}

// knownMethod returns the method if the convention lists it, else "_OTHER".
func knownMethod(method string) string {
	switch method {
	case http.MethodConnect, http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions,
		http.MethodPatch, http.MethodPost, http.MethodPut, http.MethodTrace:
		return method
	}
	return "_OTHER"
}

// Answered implements handlers.Observer: it ends a request's span.
func (requests) Answered(ctx context.Context, a *handlers.Answer) {
	span := trace.SpanFromContext(ctx)
	defer span.End()
	if !span.IsRecording() {
		return
	}
	span.SetName(a.Operation)
	span.SetAttributes(
		attribute.Int("http.response.status_code", a.Status),
		attribute.String("apikeyd.operation", a.Operation),
		attribute.String("apikeyd.request_id", a.RequestID),
	)
	for name, value := range map[string]string{
		"http.route":             a.Route,
		"apikeyd.code":           a.Code,
		"apikeyd.authentication": string(a.Authentication),
		"apikeyd.verification":   string(a.Verification),
	} {
		if value != "" {
			span.SetAttributes(attribute.String(name, value))
		}
	}
	if a.Status >= http.StatusInternalServerError {
		span.SetAttributes(attribute.String("error.type", a.Code))
		span.SetStatus(codes.Error, "")
	}
}
