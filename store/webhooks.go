package store

import (
	"context"
	"time"

	"apikeyd/apikey"
)

const (
	// MaxWebhooks is how many webhooks there may be.
	MaxWebhooks = 100
	// MaxWaitingDeliveries is how many deliveries of one webhook may wait. Further events wait in the audit log.
	MaxWaitingDeliveries = 1000
	// MaxFinishedDeliveries is how many finished deliveries of one webhook are kept, for at most KeepDeliveries.
	MaxFinishedDeliveries = 1000
	// KeepDeliveries is how long finished deliveries are kept.
	KeepDeliveries = 7 * 24 * time.Hour
)

// Webhooks keeps the receivers that hear of audit events. The audit log is their outbox: a webhook has a place in
// each chain, and deliveries are made of the events after it.
type Webhooks interface {
	// CreateWebhook stores a new webhook. It hears of later events, from its own creation on excluded. It
	// returns ErrTooManyWebhooks, ErrActorGone or a *apikey.DeniedError.
	CreateWebhook(ctx context.Context, actor Actor, w Webhook) error

	// Webhook returns the webhook with this id, or ErrNoWebhook.
	Webhook(ctx context.Context, id apikey.ID) (Webhook, error)

	// Webhooks returns all webhooks, oldest first.
	Webhooks(ctx context.Context) ([]Webhook, error)

	// UpdateWebhook makes a change and returns the webhook as it is afterwards. Enabling one continues where it
	// stopped, and its waiting deliveries start over. It returns ErrNoWebhook, ErrActorGone or a
	// *apikey.DeniedError.
	UpdateWebhook(ctx context.Context, actor Actor, id apikey.ID, change WebhookChange) (Webhook, error)

	// RotateWebhook gives a webhook another secret; deliveries are signed with the old one too until the grace
	// ends. It returns ErrNoWebhook, ErrActorGone or a *apikey.DeniedError.
	RotateWebhook(ctx context.Context, actor Actor, id apikey.ID, secret WebhookSecret, grace time.Duration) (Webhook, error)

	// DeleteWebhook removes a webhook and its deliveries, and returns it. It returns ErrNoWebhook, ErrActorGone or
	// a *apikey.DeniedError.
	DeleteWebhook(ctx context.Context, actor Actor, id apikey.ID) (Webhook, error)

	// TestWebhook writes an event that is delivered to this webhook, whatever its filters. It returns
	// ErrNoWebhook, ErrWebhookDisabled, ErrActorGone or a *apikey.DeniedError.
	TestWebhook(ctx context.Context, actor Actor, id apikey.ID) (Delivery, error)

	// Deliveries returns deliveries of a webhook, newest event first. It returns ErrNoWebhook.
	Deliveries(ctx context.Context, q DeliveryQuery) ([]Delivery, error)

	// RetryDelivery makes a delivery due now, whatever became of it. It returns ErrNoWebhook,
	// ErrWebhookDisabled, ErrNoDelivery if there is none, or none of its event any more, ErrActorGone or a
	// *apikey.DeniedError.
	RetryDelivery(ctx context.Context, actor Actor, id, event apikey.ID) (Delivery, error)

	WebhookQueue
}

// WebhookQueue is what the sender of deliveries needs.
type WebhookQueue interface {
	// HoldWebhooks returns until when this process, of all that use the database, is the one that delivers. It
	// is the zero time if another one is.
	HoldWebhooks(ctx context.Context) (until time.Time, err error)

	// ReleaseWebhooks lets another process deliver at once.
	ReleaseWebhooks(ctx context.Context) error

	// TakeDeliveries returns a webhook and up to limit of its due deliveries, oldest first. Before that, it enqueues
	// deliveries of further events. It returns ErrNoWebhook or ErrWebhookDisabled.
	TakeDeliveries(ctx context.Context, id apikey.ID, limit int) (Webhook, []DueDelivery, error)

	// RecordAttempts records what became of deliveries, and disables the webhook if an attempt says so.
	// Deliveries that are finished, or gone, stay as they are.
	RecordAttempts(ctx context.Context, id apikey.ID, attempts []Attempt) error

	// OldestWaiting returns the time of the oldest event that waits for an enabled webhook, or the zero time.
	OldestWaiting(ctx context.Context) (time.Time, error)
}
