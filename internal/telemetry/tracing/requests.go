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

// Observers are what the service must tell of its requests.
func (t *Tracer) Observers() []handlers.Observer {
	if t == nil {
		return nil
	}
	return []handlers.Observer{requests{t.tracer}}
}

// requests makes a span of each request.
type requests struct{ tracer trace.Tracer }

// Began implements handlers.Observer: it begins the span of a request, as a part of the
// caller's trace if it named one (W3C Trace Context).
func (q requests) Began(ctx context.Context, r *http.Request) context.Context {
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	if caller := trace.SpanContextFromContext(ctx); caller.IsValid() {
		// The rest of its state is of the caller's choosing, and would be sent on.
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

// knownMethod is the method, if it is one that the convention lists.
func knownMethod(method string) string {
	switch method {
	case http.MethodConnect, http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions,
		http.MethodPatch, http.MethodPost, http.MethodPut, http.MethodTrace:
		return method
	}
	return "_OTHER"
}

// Answered implements handlers.Observer: it ends the span of a request.
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
