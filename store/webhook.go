package store

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"apikeyd/apikey"
)

// Webhook is a receiver of events.
type Webhook struct {
	ID          apikey.ID
	URL         string
	Description string
	Events      []string // types of events; empty for all
	Owner       string   // whose events; empty for those of all owners, and of webhooks
	CreatedAt   time.Time

	DisabledAt     time.Time // zero while it is enabled
	DisabledReason string

	Secret, OldSecret WebhookSecret
	OldSecretUntil    time.Time // when the grace of OldSecret ends; zero if there is none

	FailingSince time.Time // when the first attempt failed since one succeeded; zero if the last one did
}

// Why a webhook is disabled.
const (
	DisabledByRequest = "request"
	DisabledGone      = "gone"    // it answered 410
	DisabledFailing   = "failing" // a delivery failed for too long
)

// AllOwners is the owner in events of webhooks that have no owner.
const AllOwners = "*"

// WebhookChange is a change of a webhook. Nil fields stay as they are.
type WebhookChange struct {
	URL         *string
	Description *string
	Events      *[]string
	Enabled     *bool
}

// Apply returns the webhook with the change made.
func (w Webhook) Apply(c WebhookChange, now time.Time) Webhook {
	if c.URL != nil {
		w.URL = *c.URL
	}
	if c.Description != nil {
		w.Description = *c.Description
	}
	if c.Events != nil {
		w.Events = *c.Events
	}
	switch {
	case c.Enabled == nil:
	case *c.Enabled:
		w.DisabledAt, w.DisabledReason = time.Time{}, ""
	case w.IsEnabled():
		w.DisabledAt, w.DisabledReason = now, DisabledByRequest
	}
	return w
}

// IsEnabled reports whether events are delivered to the webhook.
func (w *Webhook) IsEnabled() bool { return w.DisabledAt.IsZero() }

// Host is the host of the URL: what is shown of it in events, because the rest may be a credential.
func (w *Webhook) Host() string {
	u, err := url.Parse(w.URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// Difference compares the webhook with its earlier state; the zero Webhook is none.
func (w *Webhook) Difference(before Webhook) apikey.Differences {
	var all apikey.Differences
	add := func(field string, differs bool, of func(*Webhook) any) {
		if !differs {
			return
		}
		d := apikey.Difference{Field: field, From: jsonOf(of(&before)), To: jsonOf(of(w))}
		if before.ID.IsZero() {
			d.From = nil
		}
		if w.ID.IsZero() {
			d.To = nil
		}
		all = append(all, d)
	}
	exists := before.ID != w.ID // it is new, or was deleted
	add("disabled_reason", w.DisabledReason != before.DisabledReason, func(w *Webhook) any { return w.DisabledReason })
	add("enabled", exists || w.IsEnabled() != before.IsEnabled(), func(w *Webhook) any { return w.IsEnabled() })
	add("events", !slices.Equal(w.Events, before.Events), func(w *Webhook) any { return append([]string{}, w.Events...) })
	add("url", w.URL != before.URL, func(w *Webhook) any {
		scheme, _, _ := strings.Cut(w.URL, ":")
		return scheme + "://" + w.Host() + "/…"
	})
	add("webhook_description", w.Description != before.Description, func(w *Webhook) any { return w.Description })
	return all
}

// jsonOf returns the canonical JSON of a value, nil for an empty text.
func jsonOf(value any) jsontext.Value {
	if value == "" {
		return nil
	}
	encoded, _ := json.Marshal(value) // texts, lists of texts and flags have a JSON
	text := jsontext.Value(encoded)
	_ = text.Canonicalize()
	return text
}

// Receives reports whether an event is delivered to the webhook.
func (w *Webhook) Receives(e *Event) bool {
	kind, ofWebhook := EventType(e), strings.HasSuffix(e.Action, "_webhook")
	switch {
	case e.Action == ActionTestWebhook && e.Key == w.ID:
		return true
	case kind == "":
		return false
	case w.Owner != "" && (ofWebhook || e.Owner != w.Owner):
		return false
	}
	return len(w.Events) == 0 || slices.Contains(w.Events, kind)
}

// eventTypes are the types of the actions that always have the same one.
var eventTypes = map[string]string{
	ActionCreate: "api_key.created", ActionUpdate: "api_key.updated", ActionRotate: "api_key.rotated", ActionRevoke: "api_key.revoked",
	ActionExpiring: "api_key.expiring", ActionExpired: "api_key.expired", ActionGraceEnding: "api_key.grace_ending",
	ActionRotationDue: "api_key.rotation_due", ActionQuota: "api_key.quota_reached", ActionNewNetwork: "api_key.new_network",
	ActionLeak: "api_key.leaked", ActionOutside: "api_key.address_observed", ActionUpdateOwner: "owner.updated",
	ActionCreateWebhook: "webhook.created", ActionUpdateWebhook: "webhook.updated", ActionRotateWebhook: "webhook.rotated",
	ActionDeleteWebhook: "webhook.deleted", ActionTestWebhook: "webhook.test",
}

// The types of an ActionUpdate that suspends a key, or ends that, and of an owner's ActionQuota.
const (
	typeSuspended  = "api_key.suspended"
	typeResumed    = "api_key.resumed"
	typeOwnerQuota = "owner.quota_reached"
)

// EventType returns the type of an event; empty if no webhook receives it: sessions begin and end all the time.
func EventType(e *Event) string {
	if e.Action == ActionRevoke && e.Key.IsSession() {
		return ""
	}
	if e.Action == ActionUpdate {
		if d, changed := e.Changes.Get("enabled"); changed {
			return map[bool]string{true: typeResumed, false: typeSuspended}[string(d.To) == "true"]
		}
	}
	if e.Action == ActionQuota && e.Key.IsZero() {
		return typeOwnerQuota
	}
	return eventTypes[e.Action]
}

// EventTypes returns all types, sorted.
func EventTypes() []string {
	types := []string{typeSuspended, typeResumed, typeOwnerQuota}
	for _, kind := range eventTypes {
		types = append(types, kind)
	}
	slices.Sort(types)
	return types
}

// Delivery is the delivery of an event to a webhook.
type Delivery struct {
	Webhook  apikey.ID
	Event    apikey.ID
	Type     string
	Since    time.Time // when the attempts began
	Attempts int
	Next     time.Time // when the next attempt is due; zero if there will be none
	Finished time.Time // zero while it waits
	OK       bool      // the receiver has taken it
	Status   int       // of the last answer; 0 if there was none
	Error    string    // of the last attempt; empty if that succeeded, or there was none
}

// DueDelivery is a delivery that is due, with its event.
type DueDelivery struct {
	Delivery
	Of Event
}

// DeliveryQuery selects deliveries of a webhook.
type DeliveryQuery struct {
	Webhook apikey.ID
	State   string    // StateWaiting, StateDelivered or StateFailed; empty for all
	Before  apikey.ID // only of events older than this one
	Limit   int       // how many at most, from 1
}

// The states of a delivery.
const (
	StateWaiting   = "waiting"
	StateDelivered = "delivered"
	StateFailed    = "failed"
)

// State returns the delivery's state.
func (d *Delivery) State() string {
	switch {
	case d.Finished.IsZero():
		return StateWaiting
	case d.OK:
		return StateDelivered
	}
	return StateFailed
}

// Attempt is the result of one attempt at a delivery.
type Attempt struct {
	Event  apikey.ID
	OK     bool
	Status int
	Error  string
	Next   time.Time // of the next attempt, unless OK
	// Disable is why the webhook is to be disabled: DisabledGone or DisabledFailing. The delivery goes on waiting.
	Disable string
}

// webhookSecretSize is how many bytes the key of a new secret has.
const webhookSecretSize = 32

// WebhookSecretPrefix begins the text of a secret.
const WebhookSecretPrefix = "whsec_"

// WebhookSecret signs deliveries. It cannot be printed, logged or encoded: only Reveal and Bytes give it up.
type WebhookSecret struct {
	key *[]byte // a pointer: fmt prints unexported fields without calling their methods
}

// NewWebhookSecret makes a secret.
func NewWebhookSecret() WebhookSecret {
	key := make([]byte, webhookSecretSize)
	_, _ = rand.Read(key) // never fails
	return WebhookSecretOf(key)
}

// WebhookSecretOf returns the secret with this key.
func WebhookSecretOf(key []byte) WebhookSecret {
	if len(key) == 0 {
		return WebhookSecret{}
	}
	return WebhookSecret{&key}
}

// Bytes returns the key, nil if there is none.
func (s WebhookSecret) Bytes() []byte {
	if s.key == nil {
		return nil
	}
	return *s.key
}

// Reveal returns the secret as its receiver gets it.
func (s WebhookSecret) Reveal() string {
	return WebhookSecretPrefix + base64.StdEncoding.EncodeToString(s.Bytes())
}

const hidden = "[redacted]"

// String redacts.
func (WebhookSecret) String() string { return hidden }

// GoString redacts.
func (WebhookSecret) GoString() string { return hidden }

// Format redacts, whatever the verb.
func (WebhookSecret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue redacts.
func (WebhookSecret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText redacts, in JSON too.
func (WebhookSecret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
