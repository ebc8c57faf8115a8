package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"apikeyd/apikey"
)

// AuditLog is the append-only log of all changes. Each event is linked to the one before
// it in its chain, as docs/audit.md says, so that what was altered or removed shows.
type AuditLog interface {
	// AuditEvents returns events, newest first by id. Those that come while somebody reads
	// on with Before change nothing of what is left to read.
	AuditEvents(ctx context.Context, q EventQuery) ([]Event, error)

	// EachEvent calls do for each event from since on, oldest first by id, which is the
	// order of each chain. It holds nobody up, however long do takes, and ends with the
	// first error of do.
	EachEvent(ctx context.Context, since time.Time, do func(Event) error) error

	// VerifyAudit goes through all chains, as they are at one moment, and finds what does
	// not belong: in them, or of the marks that an outside record says they have.
	VerifyAudit(ctx context.Context, expected ...Mark) ([]ChainReport, error)

	// PruneEvents removes the oldest events of each chain, up to the first that is not
	// before that time, and returns how many. It removes no more than those of a day,
	// counted from the oldest: a clock that is wrong must not take the whole log at once.
	// The end of what it removed becomes the chain's anchor.
	PruneEvents(ctx context.Context, before time.Time) (int, error)
}

// The actions that the audit log records.
const (
	ActionCreate = "create"
	ActionUpdate = "update"
	ActionRevoke = "revoke"
	ActionRotate = "rotate"
	ActionLeak   = "leak" // whoever found the secret ended it
)

// Event is one line of the audit log. It never holds a secret or the hash of one.
type Event struct {
	ID        apikey.ID
	At        time.Time
	Action    string
	Key       apikey.ID // the key that was changed
	Owner     string    // its owner
	Name      string    // its name afterwards
	Changes   apikey.Differences
	Actor     apikey.ID // zero is the operator
	Via       string
	Address   string // of the caller; empty for the operator
	RequestID string

	Mark // the event's place in its chain
}

// Mark is a place in a chain: the event with this number, and its hash.
type Mark struct {
	Chain string
	Seq   int64 // from 1, without gaps; 0 is before the first
	Hash  ChainHash
}

// ChainHash is the SHA-256 hash of an event and, through the one before it, of all
// before it. That of nothing is zero.
type ChainHash [sha256.Size]byte

// String returns the hash in hexadecimal.
func (h ChainHash) String() string { return hex.EncodeToString(h[:]) }

// EventQuery selects events. A filter that is zero lets every event pass.
type EventQuery struct {
	Key      apikey.ID
	Owner    string    // of the key
	Actor    apikey.ID // a key that acted
	Operator bool      // only what the operator did
	Action   string
	Since    time.Time // at or after
	Until    time.Time // before
	Before   apikey.ID // only events older than this one; it need not be there

	Limit int // how many events at most, from 1
}

// ChainReport is what VerifyAudit found of one chain.
type ChainReport struct {
	Anchor     Mark      // the last event that retention removed; Seq is 0 if it removed none
	AnchoredAt time.Time // when it did
	Head       Mark      // the last event, by the record that is kept beside the events
	Events     int64     // how many are there
	Faults     []string  // what does not belong, and where: the first few
}
