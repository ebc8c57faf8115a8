package tracing

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"apikeyd/apikey"
	"apikeyd/handlers"
	"apikeyd/internal/keycache"
	"apikeyd/store"
)

// Store has all methods of store.Store that a service calls.
type Store interface {
	handlers.Store
	keycache.Source
}

// Store returns s with a span for each call that belongs to a request; answers from the cache
// make no call. The span of a change ends when the change is durable. System is OpenTelemetry's
// name for the database, such as sqlite.
func (t *Tracer) Store(s Store, system string) Store {
	if t == nil {
		return s
	}
	return tracedStore{s, t.tracer, system}
}

// tracedStore makes spans of calls. Calls that belong to no request pass without one.
type tracedStore struct {
	Store
	tracer trace.Tracer
	system string
}

// traced makes one call in a span.
func traced[T any](ctx context.Context, s tracedStore, name string, call func(context.Context) (T, error)) (T, error) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return call(ctx)
	}
	ctx, span := s.tracer.Start(ctx, "store."+name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("db.system.name", s.system), attribute.String("db.operation.name", name)))
	defer span.End()
	result, err := call(ctx)
	if failure := failureOf(err); failure != "" {
		span.SetAttributes(attribute.String("error.type", failure))
		span.SetStatus(codes.Error, "")
	}
	return result, err
}

// failureOf classifies an error without its text. Refusals are not failures of the store.
func failureOf(err error) string {
	switch {
	case err == nil, store.IsRefusal(err):
		return ""
	case errors.Is(err, store.ErrUncertain):
		return "outcome_unknown"
	case errors.Is(err, store.ErrUnavailable):
		return "unavailable"
	case errors.Is(err, store.ErrDamaged):
		return "damaged"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "_OTHER"
}

func (s tracedStore) Key(ctx context.Context, ref store.Ref) (apikey.Key, error) {
	return traced(ctx, s, "Key", func(ctx context.Context) (apikey.Key, error) { return s.Store.Key(ctx, ref) })
}

func (s tracedStore) Keys(ctx context.Context, q store.Query) (store.Page, error) {
	return traced(ctx, s, "Keys", func(ctx context.Context) (store.Page, error) { return s.Store.Keys(ctx, q) })
}

func (s tracedStore) KeyIDs(ctx context.Context, q store.Query) (store.IDPage, error) {
	return traced(ctx, s, "KeyIDs", func(ctx context.Context) (store.IDPage, error) { return s.Store.KeyIDs(ctx, q) })
}

func (s tracedStore) Summary(ctx context.Context, owner string, at time.Time) (store.Summary, error) {
	return traced(ctx, s, "Summary", func(ctx context.Context) (store.Summary, error) { return s.Store.Summary(ctx, owner, at) })
}

func (s tracedStore) CreateKey(ctx context.Context, actor store.Actor, key apikey.Key) error {
	_, err := traced(ctx, s, "CreateKey", func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.Store.CreateKey(ctx, actor, key)
	})
	return err
}

func (s tracedStore) UpdateKey(
	ctx context.Context, actor store.Actor, ref store.Ref, change apikey.Change,
) (apikey.Key, error) {
	return traced(ctx, s, "UpdateKey", func(ctx context.Context) (apikey.Key, error) {
		return s.Store.UpdateKey(ctx, actor, ref, change)
	})
}

func (s tracedStore) RevokeKey(
	ctx context.Context, actor store.Actor, ref store.Ref, reason apikey.Reason,
) (apikey.Key, error) {
	return traced(ctx, s, "RevokeKey", func(ctx context.Context) (apikey.Key, error) {
		return s.Store.RevokeKey(ctx, actor, ref, reason)
	})
}

func (s tracedStore) RotateKey(
	ctx context.Context, actor store.Actor, ref store.Ref, rotation apikey.Rotation,
) (apikey.Key, error) {
	return traced(ctx, s, "RotateKey", func(ctx context.Context) (apikey.Key, error) {
		return s.Store.RotateKey(ctx, actor, ref, rotation)
	})
}

func (s tracedStore) EndSecret(ctx context.Context, actor store.Actor) (apikey.Key, error) {
	return traced(ctx, s, "EndSecret", func(ctx context.Context) (apikey.Key, error) {
		return s.Store.EndSecret(ctx, actor)
	})
}

func (s tracedStore) AuditEvents(ctx context.Context, q store.EventQuery) ([]store.Event, error) {
	return traced(ctx, s, "AuditEvents", func(ctx context.Context) ([]store.Event, error) {
		return s.Store.AuditEvents(ctx, q)
	})
}
