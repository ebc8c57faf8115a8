package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"apikeyd/apikey"
)

// AuditLog is the append-only log of all changes. Each event is linked to the previous one
// in its chain, as docs/audit.md says, so that alterations and removals show.
type AuditLog interface {
	// AuditEvents returns events, newest first by id. Continuing with Before is not affected
	// by new events.
	AuditEvents(ctx context.Context, q EventQuery) ([]Event, error)

	// AuditedSince returns since when no event is missing: the time of the latest that retention removed, or the
	// zero time.
	AuditedSince(ctx context.Context) (time.Time, error)

	// EachEvent calls do for each event since a time, oldest first by id, which is the
	// order of each chain. It blocks nobody, however long do takes, and returns the
	// first error of do.
	EachEvent(ctx context.Context, since time.Time, do func(Event) error) error

	// VerifyAudit checks all chains, as they are at one moment, and reports their faults,
	// including marks of an outside record that they should have.
	VerifyAudit(ctx context.Context, expected ...Mark) ([]ChainReport, error)

	// PruneEvents removes the oldest events of each chain, up to the first that is not
	// before that time, and returns how many. It removes at most a day's events, counted
	// from the oldest: a wrong clock must not remove the whole log at once.
	// The last event that it removes becomes the chain's anchor.
	PruneEvents(ctx context.Context, before time.Time) (int, error)
}

// The actions that the audit log records.
const (
	ActionCreate = "create"
	ActionUpdate = "update"
	ActionRevoke = "revoke"
	ActionRotate = "rotate"
	ActionLeak   = "leak" // a leak report ended the secret

	ActionUpdateOwner = "update_owner"
	ActionCreateLink  = "create_link"   // an owner link was made; its session will have the event's key
	ActionSession     = "start_session" // a session began, with the event's key
	ActionOutside     = "outside"       // the key was used from outside its observed networks; nothing changed

	// Notices change nothing. Their Changes hold a Notice.
	ActionExpiring    = "expiring"      // the key ends soon
	ActionExpired     = "expired"       // the key has ended
	ActionGraceEnding = "grace_ending"  // the grace of the key's old secret ends soon
	ActionRotationDue = "rotation_due"  // the secret of a key with keys:admin is old
	ActionQuota       = "quota_reached" // the quota of the key, or of its owner if Key is zero, is used up
	ActionNewNetwork  = "new_network"   // a key with keys:admin was used from a network that is new

	ActionCreateWebhook = "create_webhook"
	ActionUpdateWebhook = "update_webhook"
	ActionRotateWebhook = "rotate_webhook"
	ActionDeleteWebhook = "delete_webhook"
	ActionTestWebhook   = "test_webhook" // nothing changed
)

// Event is one entry of the audit log. It never contains a secret or the hash of one.
type Event struct {
	ID        apikey.ID
	At        time.Time
	Action    string
	Key       apikey.ID // the key that was changed, or the webhook; zero for an owner's
	Owner     string    // its owner; AllOwners for a webhook of all owners
	Name      string    // its name after the change; the owner's if it is about an owner; the host of a webhook
	Changes   apikey.Differences
	Actor     apikey.ID // zero is the operator
	Via       string
	Address   string // of the caller, or where a use came from; empty for the operator, and if unknown
	RequestID string

	Mark // the event's place in its chain
}

// Mark is a place in a chain: the event with this number, and its hash.
type Mark struct {
	Chain string
	Seq   int64 // from 1, without gaps; 0 is before the first
	Hash  ChainHash
}

// ChainHash is the SHA-256 hash of an event and, through the previous hash, of all earlier
// events. The hash before the first event is zero.
type ChainHash [sha256.Size]byte

// String returns the hash in hexadecimal.
func (h ChainHash) String() string { return hex.EncodeToString(h[:]) }

// EventQuery selects events. A filter with its zero value matches every event.
type EventQuery struct {
	Key      apikey.ID
	Owner    string    // of the key
	Actor    apikey.ID // a key that acted
	Operator bool      // only changes by the operator
	Action   string
	Since    time.Time // at or after
	Until    time.Time // before
	Before   apikey.ID // only events older than this one, which need not exist

	Limit int // how many events at most, from 1
}

// ChainReport is what VerifyAudit found out about one chain.
type ChainReport struct {
	Anchor     Mark      // the last event that retention removed; Seq is 0 if it removed none
	AnchoredAt time.Time // when it was removed
	Head       Mark      // the last event, according to the record beside the events
	Events     int64     // how many there are
	Faults     []string  // what is wrong, and where: the first few
}
