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
	AuditLeak   AuditAction = "leak" // somebody reported that the secret leaked

	AuditUpdateOwner AuditAction = "update_owner"  // an owner was changed, and no key
	AuditCreateLink  AuditAction = "create_link"   // an owner link was made; KeyID is that of its session
	AuditSession     AuditAction = "start_session" // somebody signed in or opened an owner link
	AuditOutside     AuditAction = "outside"       // the key was used from outside its observed networks; nothing changed

	// Notices change nothing: their changes hold a Notice.
	AuditExpiring    AuditAction = "expiring"      // the key ends soon
	AuditExpired     AuditAction = "expired"       // the key has ended
	AuditGraceEnding AuditAction = "grace_ending"  // the grace of the key's old secret ends soon
	AuditRotationDue AuditAction = "rotation_due"  // the secret of a key with keys:admin is old
	AuditQuota       AuditAction = "quota_reached" // the quota of the key, or of its owner, is used up
	AuditNewNetwork  AuditAction = "new_network"   // a key with keys:admin was used from a network that is new

	AuditCreateWebhook AuditAction = "create_webhook"
	AuditUpdateWebhook AuditAction = "update_webhook"
	AuditRotateWebhook AuditAction = "rotate_webhook"
	AuditDeleteWebhook AuditAction = "delete_webhook"
	AuditTestWebhook   AuditAction = "test_webhook" // nothing changed
)

// AuditOperator is the actor of changes that the operator made directly in the database.
const AuditOperator = "operator"

// AuditEvent is one entry of the audit log.
type AuditEvent struct {
	ID        string       `json:"id"`
	At        time.Time    `json:"at"`
	Action    AuditAction  `json:"action"`
	KeyID     string       `json:"key_id"` // or the webhook's; all zeros if it is about an owner
	Owner     string       `json:"owner"`  // of the key; "*" for a webhook of all owners
	Name      string       `json:"name"`   // of the key, afterwards; the owner's if it is about one; the host of a webhook
	Changes   AuditChanges `json:"changes"`
	Actor     string       `json:"actor"`               // the id of a key, or AuditOperator
	Via       string       `json:"via"`                 // "http", "leak report", or the operator's command
	Address   string       `json:"address,omitzero"`    // of the caller or user; empty for the operator, and if unknown
	RequestID string       `json:"request_id,omitzero"` // of the call; empty for the operator
}

// AuditChange holds a field's value before and after a change. Nil means that there was none; if
// both are nil, the log did not record values yet.
type AuditChange[T any] struct {
	From *T `json:"from,omitzero"`
	To   *T `json:"to,omitzero"`
}

// AuditOptions filter and page events. An event must match all filters that are set; the zero
// AuditOptions list all events.
type AuditOptions struct {
	PageSize int // how many events one request asks for, 1 to 100; 0 is 100

	KeyID  string // only changes of this key
	Owner  string // only changes of this owner's keys
	Actor  string // only changes by this key (its id), or by AuditOperator
	Action AuditAction
	Since  time.Time // at or after
	Until  time.Time // before
	Before string    // only events older than the one with this id
}

// AuditEvents iterates over the audit log, newest first. It needs keys:admin and ignores
// [Client.ForOwner]. Pages are requested only as the loop needs them. An error ends the list and
// comes with the zero AuditEvent. Events recorded after the start are not included.
func (c *Client) AuditEvents(ctx context.Context, o AuditOptions) iter.Seq2[AuditEvent, error] {
	return eachOf(func(before string) ([]AuditEvent, string, error) {
		from := o
		if before != "" {
			from.Before = before
		}
		page, err := c.AuditPage(ctx, from)
		return page.Events, page.Next, err
	})
}

// AuditPage is one page of the audit log.
type AuditPage struct {
	Events []AuditEvent
	Next   string // the Before of the next page; empty on the last one
}

// AuditPage returns the first PageSize events that [Client.AuditEvents] iterates over.
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
