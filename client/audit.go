package client

import (
	"context"
	"iter"
	"net/http"
	"time"

	"apikeyd/client/internal/api"
)

// AuditAction is what was done to a key.
type AuditAction string

// The actions that the audit log records.
const (
	AuditCreate AuditAction = "create"
	AuditUpdate AuditAction = "update"
	AuditRotate AuditAction = "rotate"
	AuditRevoke AuditAction = "revoke"
	AuditLeak   AuditAction = "leak" // whoever found the secret reported it
)

// AuditOperator is, as an actor, whoever holds the database of the service itself.
const AuditOperator = "operator"

// AuditEvent is one line of the audit log.
type AuditEvent struct {
	ID        string       `json:"id"`
	At        time.Time    `json:"at"`
	Action    AuditAction  `json:"action"`
	KeyID     string       `json:"key_id"`
	Owner     string       `json:"owner"` // of the key
	Name      string       `json:"name"`  // of the key, afterwards
	Changes   AuditChanges `json:"changes"`
	Actor     string       `json:"actor"`               // the id of a key, or AuditOperator
	Via       string       `json:"via"`                 // "http", "leak report", or the operator's command
	Address   string       `json:"address,omitzero"`    // of the caller; empty for the operator
	RequestID string       `json:"request_id,omitzero"` // of the call; empty for the operator
}

// AuditChange is what a field was and what it became. Nil was not there; if both are, the
// log did not yet record values.
type AuditChange[T any] struct {
	From *T `json:"from,omitzero"`
	To   *T `json:"to,omitzero"`
}

// AuditOptions say which events to list, and how. An event must pass all filters that are
// given; the zero AuditOptions list all events.
type AuditOptions struct {
	PageSize int // how many events one request asks for, 1 to 100; 0 is 100

	KeyID  string // only what was done to this key
	Owner  string // only what was done to this owner's keys
	Actor  string // only what this key did, by id, or AuditOperator
	Action AuditAction
	Since  time.Time // at or after
	Until  time.Time // before
	Before string    // only events older than the one with this id
}

// AuditEvents goes through the audit log, newest first; it needs keys:admin, and
// [Client.ForOwner] means nothing to it. Pages are asked for as they are needed, and no
// more once the loop ends. An error ends the list, and comes with the zero AuditEvent.
// Events that come meanwhile are not in it.
func (c *Client) AuditEvents(ctx context.Context, o AuditOptions) iter.Seq2[AuditEvent, error] {
	return func(yield func(AuditEvent, error) bool) {
		o := o // a second loop begins where this one did
		for {
			page, err := c.AuditPage(ctx, o)
			if err != nil {
				yield(AuditEvent{}, err)
				return
			}
			for _, event := range page.Events {
				if !yield(event, nil) {
					return
				}
			}
			if page.Next == "" || len(page.Events) == 0 {
				return
			}
			o.Before = page.Next
		}
	}
}

// AuditPage is some events of the audit log.
type AuditPage struct {
	Events []AuditEvent
	Next   string // the Before of the page that follows; empty if there is none
}

// AuditPage returns the newest PageSize of what [Client.AuditEvents] goes through.
func (c *Client) AuditPage(ctx context.Context, o AuditOptions) (AuditPage, error) {
	if o.PageSize == 0 {
		o.PageSize = defaultPageSize
	}
	request, err := api.NewListAuditEventsRequest(c.base, &api.ListAuditEventsParams{
		Key: unlessZero(o.KeyID), Owner: unlessZero(o.Owner), Actor: unlessZero(o.Actor),
		Action: unlessZero(api.AuditAction(o.Action)),
		Since:  unlessZero(o.Since.UTC()), Until: unlessZero(o.Until.UTC()),
		Before: unlessZero(o.Before), ItemsPerPage: &o.PageSize,
	})
	if err != nil {
		return AuditPage{}, unsendable(err)
	}
	var answer auditAnswer
	if err := c.send(ctx, request, true, http.StatusOK, &answer); err != nil {
		return AuditPage{}, err
	}
	return AuditPage{Events: answer.Data, Next: orZero(answer.Next)}, nil
}
