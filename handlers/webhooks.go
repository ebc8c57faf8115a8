package handlers

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"apikeyd/apikey"
	"apikeyd/gen"
	"apikeyd/store"
)

// CreateWebhook implements the operation createWebhook.
func (s *Server) CreateWebhook(
	ctx context.Context, request gen.CreateWebhookRequestObject,
) (gen.CreateWebhookResponseObject, error) {
	body := request.Body
	if err := s.checkWebhook(&body.Url, body.Description, body.Events); err != nil {
		return nil, err
	}
	if body.Owner != nil {
		if err := apikey.CheckOwner(*body.Owner); err != nil {
			return nil, err
		}
	}
	w := store.Webhook{
		ID: apikey.NewID(), URL: body.Url, Description: or(body.Description, ""), Events: or(eventTypesOf(body.Events), nil),
		Owner: or(body.Owner, ""), CreatedAt: s.Now().UTC().Truncate(time.Millisecond), Secret: store.NewWebhookSecret(),
	}
	if err := s.Store.CreateWebhook(ctx, callerFrom(ctx).actor(), w); err != nil {
		return nil, err
	}
	return gen.CreateWebhook201JSONResponse{
		Body:    withSecret(s.webhookResponse(&w), w.Secret),
		Headers: gen.CreateWebhook201ResponseHeaders{Location: new("/v1/webhooks/" + w.ID.String())},
	}, nil
}

// ListWebhooks implements the operation listWebhooks.
func (s *Server) ListWebhooks(ctx context.Context, _ gen.ListWebhooksRequestObject) (gen.ListWebhooksResponseObject, error) {
	all, err := s.Store.Webhooks(ctx)
	if err != nil {
		return nil, err
	}
	answer := gen.WebhookListResponse{Data: make([]gen.WebhookResponse, len(all))}
	for i := range all {
		answer.Data[i] = s.webhookResponse(&all[i])
	}
	return gen.ListWebhooks200JSONResponse{Body: answer}, nil
}

// GetWebhook implements the operation getWebhook.
func (s *Server) GetWebhook(ctx context.Context, request gen.GetWebhookRequestObject) (gen.GetWebhookResponseObject, error) {
	w, err := withID(request.WebhookId, store.ErrNoWebhook, func(id apikey.ID) (store.Webhook, error) { return s.Store.Webhook(ctx, id) })
	if err != nil {
		return nil, err
	}
	return gen.GetWebhook200JSONResponse{Body: s.webhookResponse(&w)}, nil
}

// UpdateWebhook implements the operation updateWebhook.
func (s *Server) UpdateWebhook(
	ctx context.Context, request gen.UpdateWebhookRequestObject,
) (gen.UpdateWebhookResponseObject, error) {
	body := request.Body
	if err := s.checkWebhook(body.Url, body.Description, body.Events); err != nil {
		return nil, err
	}
	w, err := withID(request.WebhookId, store.ErrNoWebhook, func(id apikey.ID) (store.Webhook, error) {
		return s.Store.UpdateWebhook(ctx, callerFrom(ctx).actor(), id, store.WebhookChange{
			URL: body.Url, Description: body.Description, Events: eventTypesOf(body.Events), Enabled: body.Enabled,
		})
	})
	if err != nil {
		return nil, err
	}
	return gen.UpdateWebhook200JSONResponse{Body: s.webhookResponse(&w)}, nil
}

// RotateWebhookSecret implements the operation rotateWebhookSecret.
func (s *Server) RotateWebhookSecret(
	ctx context.Context, request gen.RotateWebhookSecretRequestObject,
) (gen.RotateWebhookSecretResponseObject, error) {
	w, err := withID(request.WebhookId, store.ErrNoWebhook, func(id apikey.ID) (store.Webhook, error) {
		return s.Store.RotateWebhook(ctx, callerFrom(ctx).actor(), id, store.NewWebhookSecret(),
			time.Duration(request.Body.GraceSeconds)*time.Second)
	})
	if err != nil {
		return nil, err
	}
	return gen.RotateWebhookSecret200JSONResponse{Body: withSecret(s.webhookResponse(&w), w.Secret)}, nil
}

// DeleteWebhook implements the operation deleteWebhook.
func (s *Server) DeleteWebhook(
	ctx context.Context, request gen.DeleteWebhookRequestObject,
) (gen.DeleteWebhookResponseObject, error) {
	w, err := withID(request.WebhookId, store.ErrNoWebhook, func(id apikey.ID) (store.Webhook, error) {
		return s.Store.DeleteWebhook(ctx, callerFrom(ctx).actor(), id)
	})
	if err != nil {
		return nil, err
	}
	return gen.DeleteWebhook200JSONResponse{Body: s.webhookResponse(&w)}, nil
}

// TestWebhook implements the operation testWebhook.
func (s *Server) TestWebhook(ctx context.Context, request gen.TestWebhookRequestObject) (gen.TestWebhookResponseObject, error) {
	d, err := withID(request.WebhookId, store.ErrNoWebhook, func(id apikey.ID) (store.Delivery, error) {
		return s.Store.TestWebhook(ctx, callerFrom(ctx).actor(), id)
	})
	if err != nil {
		return nil, err
	}
	return gen.TestWebhook202JSONResponse{Body: deliveryResponse(&d)}, nil
}

// ListWebhookDeliveries implements the operation listWebhookDeliveries.
func (s *Server) ListWebhookDeliveries(
	ctx context.Context, request gen.ListWebhookDeliveriesRequestObject,
) (gen.ListWebhookDeliveriesResponseObject, error) {
	params := request.Params
	size := or(params.ItemsPerPage, defaultItemsPerPage)
	found, err := withID(request.WebhookId, store.ErrNoWebhook, func(id apikey.ID) ([]store.Delivery, error) {
		before := apikey.ID(or(params.Before, uuid.Max))
		if before.IsZero() { // which would be no filter; nothing is older
			_, err := s.Store.Webhook(ctx, id)
			return nil, err
		}
		return s.Store.Deliveries(ctx, store.DeliveryQuery{
			Webhook: id, State: string(or(params.State, "")), Before: before, Limit: size + 1,
		})
	})
	if err != nil {
		return nil, err
	}
	answer := gen.WebhookDeliveryListResponse{Data: []gen.WebhookDelivery{}}
	if len(found) > size {
		found = found[:size]
		answer.Next = new(uuid.UUID(found[size-1].Event))
	}
	for i := range found {
		answer.Data = append(answer.Data, deliveryResponse(&found[i]))
	}
	return gen.ListWebhookDeliveries200JSONResponse{Body: answer}, nil
}

// RetryWebhookDelivery implements the operation retryWebhookDelivery.
func (s *Server) RetryWebhookDelivery(
	ctx context.Context, request gen.RetryWebhookDeliveryRequestObject,
) (gen.RetryWebhookDeliveryResponseObject, error) {
	d, err := withID(request.WebhookId, store.ErrNoWebhook, func(id apikey.ID) (store.Delivery, error) {
		return withID(request.EventId, store.ErrNoDelivery, func(event apikey.ID) (store.Delivery, error) {
			return s.Store.RetryDelivery(ctx, callerFrom(ctx).actor(), id, event)
		})
	})
	if err != nil {
		return nil, err
	}
	return gen.RetryWebhookDelivery202JSONResponse{Body: deliveryResponse(&d)}, nil
}

// withID makes a call with an id from a path. What is no id is missing.
func withID[T any](text string, missing error, call func(apikey.ID) (T, error)) (T, error) {
	id, err := apikey.ParseID(text)
	if err != nil || id.IsZero() {
		var none T
		return none, missing
	}
	return call(id)
}

// checkWebhook returns an *apikey.InvalidError if a webhook cannot have these. Nil is not checked. The operator's commands
// are not held against the contract, so its limits are checked here too.
func (s *Server) checkWebhook(url, description *string, events *gen.WebhookEvents) error {
	if url != nil {
		if len(*url) > maxWebhookURL {
			return apikey.Invalid("url", "must have at most 2048 bytes")
		}
		if err := s.CheckWebhookURL(*url); err != nil {
			return err
		}
	}
	if events != nil {
		for i, kind := range *events {
			if !kind.Valid() || slices.Contains((*events)[:i], kind) {
				return apikey.Invalid("events", "must be different types of events: "+strings.Join(store.EventTypes(), ", "))
			}
		}
	}
	switch {
	case description == nil:
	case utf8.RuneCountInString(*description) > maxWebhookDescription:
		return apikey.Invalid("description", "must have at most 255 characters")
	case strings.ContainsFunc(*description, unicode.IsControl):
		return apikey.Invalid("description", "must not contain control characters, such as line breaks")
	case apikey.Redact(*description) != *description:
		return apikey.Invalid("description", "must not contain an API key: it would show up in lists")
	}
	return nil
}

const (
	maxWebhookURL         = 2048
	maxWebhookDescription = 255
)

func eventTypesOf(events *gen.WebhookEvents) *[]string {
	if events == nil {
		return nil
	}
	types := make([]string, len(*events))
	for i, kind := range *events {
		types[i] = string(kind)
	}
	return &types
}

func (s *Server) webhookResponse(w *store.Webhook) gen.WebhookResponse {
	events := make(gen.WebhookEvents, len(w.Events))
	for i, kind := range w.Events {
		events[i] = gen.WebhookEventType(kind)
	}
	answer := gen.WebhookResponse{
		Id: uuid.UUID(w.ID), Url: w.URL, Description: w.Description, Events: events, Owner: unlessEmpty(w.Owner),
		Enabled: w.IsEnabled(), DisabledAt: unlessZeroTime(w.DisabledAt), FailingSince: unlessZeroTime(w.FailingSince),
		CreatedAt: apikey.Timestamp(w.CreatedAt),
	}
	if w.DisabledReason != "" {
		answer.DisabledReason = new(gen.WebhookResponseDisabledReason(w.DisabledReason))
	}
	if w.OldSecretUntil.After(s.Now()) {
		answer.OldSecretUntil = new(apikey.Timestamp(w.OldSecretUntil))
	}
	return answer
}

func withSecret(w gen.WebhookResponse, secret store.WebhookSecret) gen.WebhookWithSecretResponse {
	return gen.WebhookWithSecretResponse{
		Id: w.Id, Url: w.Url, Description: w.Description, Events: w.Events, Owner: w.Owner, Enabled: w.Enabled, DisabledAt: w.DisabledAt,
		DisabledReason: (*gen.WebhookWithSecretResponseDisabledReason)(w.DisabledReason), FailingSince: w.FailingSince,
		OldSecretUntil: w.OldSecretUntil, CreatedAt: w.CreatedAt, Secret: secret.Reveal(),
	}
}

func deliveryResponse(d *store.Delivery) gen.WebhookDelivery {
	answer := gen.WebhookDelivery{
		EventId: uuid.UUID(d.Event), Type: gen.WebhookEventType(d.Type), State: gen.WebhookDeliveryState(d.State()), Attempts: d.Attempts,
		Since: apikey.Timestamp(d.Since), NextAttemptAt: unlessZeroTime(d.Next), FinishedAt: unlessZeroTime(d.Finished), Error: unlessEmpty(d.Error),
	}
	if d.Status != 0 {
		answer.Status = &d.Status
	}
	return answer
}

// unlessZeroTime returns nil for the zero time.
func unlessZeroTime(t time.Time) *apikey.Timestamp {
	if t.IsZero() {
		return nil
	}
	return new(apikey.Timestamp(t))
}
