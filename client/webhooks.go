package client

import (
	"context"
	"iter"
	"net/http"
	"time"

	"apikeyd/client/internal/api"
)

// Webhook is a receiver of events.
type Webhook struct {
	ID             string    `json:"id"`
	URL            string    `json:"url"`
	Description    string    `json:"description"`
	Events         []string  `json:"events"`         // types of events; empty for all
	Owner          string    `json:"owner,omitzero"` // whose events; empty for all
	Enabled        bool      `json:"enabled"`
	DisabledAt     time.Time `json:"disabled_at,omitzero"`
	DisabledReason string    `json:"disabled_reason,omitzero"`  // "request", "gone" (it answered 410) or "failing" (for 72 hours)
	FailingSince   time.Time `json:"failing_since,omitzero"`    // zero if the last attempt succeeded
	OldSecretUntil time.Time `json:"old_secret_until,omitzero"` // zero if deliveries are signed with one secret
	CreatedAt      time.Time `json:"created_at"`
}

// CreatedWebhook is a webhook and its secret, which is not shown again.
type CreatedWebhook struct {
	Webhook
	Secret Secret
}

// NewWebhook describes a webhook to create. Only URL is required.
type NewWebhook struct {
	URL         string   `json:"url"`
	Description string   `json:"description,omitzero"`
	Events      []string `json:"events,omitempty"` // types such as api_key.revoked; none for all
	Owner       string   `json:"owner,omitzero"`   // only events of this owner and its keys
}

// WebhookChange describes a change of a webhook. Nil fields stay as they are.
type WebhookChange struct {
	URL         *string   `json:"url,omitzero"`
	Description *string   `json:"description,omitzero"`
	Events      *[]string `json:"events,omitzero"` // replaces all; none for all types
	Enabled     *bool     `json:"enabled,omitzero"`
}

// Delivery is the delivery of an event to a webhook.
type Delivery struct {
	EventID    string    `json:"event_id"`
	Type       string    `json:"type"`
	State      string    `json:"state"` // "waiting", "delivered" or "failed"
	Attempts   int       `json:"attempts"`
	Since      time.Time `json:"since"`                    // when the attempts began
	NextAt     time.Time `json:"next_attempt_at,omitzero"` // zero if there will be no further one
	FinishedAt time.Time `json:"finished_at,omitzero"`     // zero while it waits
	Status     int       `json:"status,omitzero"`          // of the last answer
	Error      string    `json:"error,omitzero"`           // of the last attempt
}

// DeliveryOptions filter and page deliveries. The zero DeliveryOptions list all.
type DeliveryOptions struct {
	PageSize int    // how many deliveries one request asks for, 1 to 100; 0 is 100
	State    string // only deliveries in this state
	Before   string // only of events older than the one with this id
}

// CreateWebhook creates a webhook. It needs keys:admin, as all calls about webhooks do. An error that is no *[Error] does
// not tell whether it was created: list the webhooks before you repeat the call.
func (c *Client) CreateWebhook(ctx context.Context, w NewWebhook) (CreatedWebhook, error) {
	body, err := encode(w)
	if err != nil {
		return CreatedWebhook{}, err
	}
	request, err := api.NewCreateWebhookRequestWithBody(c.base, jsonType, body)
	return c.webhookWithSecret(ctx, request, err, http.StatusCreated)
}

// Webhook returns a webhook.
func (c *Client) Webhook(ctx context.Context, id string) (Webhook, error) {
	request, err := api.NewGetWebhookRequest(c.base, id)
	return c.oneWebhook(ctx, id, request, err, true)
}

// Webhooks returns all webhooks, oldest first; there are at most 100.
func (c *Client) Webhooks(ctx context.Context) ([]Webhook, error) {
	request, err := api.NewListWebhooksRequest(c.base)
	if err != nil {
		return nil, unsendable(err)
	}
	var answer webhooksAnswer
	err = c.send(ctx, request, true, http.StatusOK, &answer)
	return answer.Data, err
}

// UpdateWebhook changes a webhook and returns it as it is then. Enabling one continues where deliveries stopped.
func (c *Client) UpdateWebhook(ctx context.Context, id string, change WebhookChange) (Webhook, error) {
	if change.Events != nil && *change.Events == nil {
		change.Events = &[]string{} // nil would be null
	}
	body, err := encode(change)
	if err != nil {
		return Webhook{}, err
	}
	request, err := api.NewUpdateWebhookRequestWithBody(c.base, id, jsonType, body)
	return c.oneWebhook(ctx, id, request, err, true)
}

// DeleteWebhook removes a webhook, and returns it as it was.
func (c *Client) DeleteWebhook(ctx context.Context, id string) (Webhook, error) {
	request, err := api.NewDeleteWebhookRequest(c.base, id)
	return c.oneWebhook(ctx, id, request, err, false)
}

// RotateWebhookSecret gives a webhook another secret. Deliveries are signed with the old one too until the grace ends,
// which is at most seven days.
func (c *Client) RotateWebhookSecret(ctx context.Context, id string, grace time.Duration) (CreatedWebhook, error) {
	body, err := encode(struct {
		Grace int64 `json:"grace_seconds"`
	}{int64(grace / time.Second)})
	if err != nil {
		return CreatedWebhook{}, err
	}
	if isNoPathSegment(id) {
		return CreatedWebhook{}, errNoWebhook()
	}
	request, err := api.NewRotateWebhookSecretRequestWithBody(c.base, id, jsonType, body)
	return c.webhookWithSecret(ctx, request, err, http.StatusOK)
}

// TestWebhook has a webhook.test event delivered to a webhook.
func (c *Client) TestWebhook(ctx context.Context, id string) (Delivery, error) {
	request, err := api.NewTestWebhookRequest(c.base, id)
	return c.oneDelivery(ctx, request, err, id)
}

// RetryDelivery has an event delivered again now, whatever became of it.
func (c *Client) RetryDelivery(ctx context.Context, id, eventID string) (Delivery, error) {
	request, err := api.NewRetryWebhookDeliveryRequest(c.base, id, eventID)
	return c.oneDelivery(ctx, request, err, id, eventID)
}

// Deliveries iterates over the deliveries of a webhook, newest event first. Pages are requested only as the loop needs
// them. An error ends the list and comes with the zero Delivery.
func (c *Client) Deliveries(ctx context.Context, id string, o DeliveryOptions) iter.Seq2[Delivery, error] {
	if o.PageSize == 0 {
		o.PageSize = defaultPageSize
	}
	return eachOf(func(before string) ([]Delivery, string, error) {
		if isNoPathSegment(id) {
			return nil, "", errNoWebhook()
		}
		if before == "" {
			before = o.Before
		}
		request, err := api.NewListWebhookDeliveriesRequest(c.base, id, &api.ListWebhookDeliveriesParams{
			State: unlessZero(api.WebhookDeliveryState(o.State)), Before: unlessZero(before), ItemsPerPage: &o.PageSize,
		})
		if err != nil {
			return nil, "", unsendable(err)
		}
		var answer deliveriesAnswer
		err = c.send(ctx, request, true, http.StatusOK, &answer)
		return answer.Data, answer.Next, err
	})
}

func (c *Client) oneWebhook(ctx context.Context, id string, request *http.Request, failed error, repeatable bool) (w Webhook, err error) {
	if failed != nil {
		return w, unsendable(failed)
	}
	if isNoPathSegment(id) {
		return w, errNoWebhook()
	}
	err = c.send(ctx, request, repeatable, http.StatusOK, &w)
	return w, err
}

func (c *Client) webhookWithSecret(ctx context.Context, request *http.Request, failed error, status int) (CreatedWebhook, error) {
	if failed != nil {
		return CreatedWebhook{}, unsendable(failed)
	}
	var answer createdWebhookAnswer
	if err := c.send(ctx, request, false, status, &answer); err != nil {
		return CreatedWebhook{}, err
	}
	return CreatedWebhook{answer.Webhook, Secret{&answer.Secret}}, nil
}

func (c *Client) oneDelivery(ctx context.Context, request *http.Request, failed error, segments ...string) (d Delivery, err error) {
	if failed != nil {
		return d, unsendable(failed)
	}
	for _, segment := range segments {
		if isNoPathSegment(segment) {
			return d, errNoWebhook()
		}
	}
	err = c.send(ctx, request, false, http.StatusAccepted, &d)
	return d, err
}

// isNoPathSegment reports whether an id would change the path of a request.
func isNoPathSegment(id string) bool { return id == "" || id == "." || id == ".." }

func errNoWebhook() error {
	return &Error{Status: http.StatusNotFound, Code: CodeWebhookNotFound, Message: "no webhook or event has the id ., .. or an empty one; no request was sent"}
}

func (w *Webhook) complete() bool { return w.ID != "" }

func (d *Delivery) complete() bool { return d.EventID != "" }

type createdWebhookAnswer struct {
	Webhook
	Secret string `json:"secret"`
}

func (a *createdWebhookAnswer) complete() bool { return a.Webhook.complete() && a.Secret != "" }

type webhooksAnswer struct {
	Data []Webhook `json:"data"`
}

func (a *webhooksAnswer) complete() bool { return a.Data != nil }

type deliveriesAnswer struct {
	Data []Delivery `json:"data"`
	Next string     `json:"next"`
}

func (a *deliveriesAnswer) complete() bool { return a.Data != nil }
