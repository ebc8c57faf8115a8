// Package store defines what storage promises. store/sqlstore implements it, and
// store/storetest checks every implementation.
package store

import (
	"context"
	"errors"
	"time"

	"apikeyd/apikey"
)

// The errors of a Store. Methods return them bare or wrapped; compare with errors.Is.
var (
	// ErrNotFound says that no such key is within reach.
	ErrNotFound = errors.New("no such key")
	// ErrNameTaken says that another of the owner's keys, which is not revoked, has the name.
	ErrNameTaken = errors.New("name is taken")
	// ErrNoOwner says that there is no such owner.
	ErrNoOwner = errors.New("no such owner")
	// ErrTooManyKeys says that the owner has as many keys as it may have.
	ErrTooManyKeys = errors.New("the owner has as many keys as it may have")
	// ErrChanged says that a key is not as Ref.Match says.
	ErrChanged = errors.New("key was changed meanwhile")
	// ErrRevoked says that a revoked key cannot be changed.
	ErrRevoked = errors.New("key is revoked")
	// ErrRotated says that the key no longer has the secret to replace.
	ErrRotated = errors.New("key was rotated meanwhile")
	// ErrNoWebhook says that there is no such webhook.
	ErrNoWebhook = errors.New("no such webhook")
	// ErrTooManyWebhooks says that there are MaxWebhooks.
	ErrTooManyWebhooks = errors.New("there are as many webhooks as there may be")
	// ErrWebhookDisabled says that nothing is delivered to a disabled webhook.
	ErrWebhookDisabled = errors.New("the webhook is disabled")
	// ErrNoDelivery says that a webhook has no delivery of an event, or that the event was removed.
	ErrNoDelivery = errors.New("no such delivery")
	// ErrActorGone says that the acting key was revoked, suspended with its owner or expired, or its secret was
	// replaced, before the change could be made.
	ErrActorGone = errors.New("the acting key is no longer good")
	// ErrUnavailable says that the store cannot answer now (busy, disk full, file
	// gone). Nothing was changed, and a later retry may succeed.
	ErrUnavailable = errors.New("the store is unavailable")
	// ErrUncertain says that the outcome of a change is unknown: the connection to
	// the database was lost, or the disk failed, during the commit. No error is both
	// this and ErrUnavailable.
	ErrUncertain = errors.New("the outcome of the change is unknown; check it before you repeat the change")
	// ErrTooManyScans says that too many long-running queries are in progress. A later retry may succeed.
	ErrTooManyScans = errors.New("too many searches at once")
	// ErrDamaged says that the database does not contain what was written. Once a Store has
	// found damage, every call returns it.
	ErrDamaged = errors.New("the database is damaged")
)

// The reasons for which a database cannot be opened as a Store.
var (
	ErrInUse       = errors.New("another apikeyd serves this database")
	ErrMissing     = errors.New("there is no database here")
	ErrForeign     = errors.New("this is not a database of apikeyd")
	ErrTooNew      = errors.New("the database was written by a newer apikeyd")
	ErrNotMigrated = errors.New("the database was written by an older apikeyd; run apikeyd serve on it once")
)

// IsRefusal reports whether an error refuses one call, while nothing is wrong with the Store.
func IsRefusal(err error) bool {
	for _, refusal := range []error{
		ErrNotFound, ErrNameTaken, ErrNoOwner, ErrTooManyKeys, ErrRevoked, ErrRotated, ErrChanged, ErrActorGone, ErrTooManyScans,
		apikey.ErrNoLink, ErrNoWebhook, ErrTooManyWebhooks, ErrWebhookDisabled, ErrNoDelivery,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	_, denied := errors.AsType[*apikey.DeniedError](err)
	_, imported := errors.AsType[*ImportedError](err)
	return denied || imported
}

// Store keeps keys and the audit log of their changes. All methods are safe for
// concurrent use. Any error other than those above is a defect.
//
// Every mutating method takes the Actor and writes, in one transaction, the change
// and its audit event. In that same transaction it checks again that the actor's
// key is still valid (else ErrActorGone) and that it may do this to the key as it is
// now (else *apikey.DeniedError). When the method returns, the change is durable
// and every later read sees it. Times are kept in whole milliseconds.
type Store interface {
	// Key returns the key that ref names, whatever its status. A name finds the key
	// that has it now, else the most recently revoked one. It returns ErrNotFound if
	// there is none.
	Key(ctx context.Context, ref Ref) (apikey.Key, error)

	// Keys returns one page of keys, newest first by id, and how many match in all. Continuing
	// with After, the id of the last key returned, finds every key that matches from the first
	// page to the last exactly once, whatever changes in between.
	Keys(ctx context.Context, q Query) (Page, error)

	// KeyIDs returns the ids of the keys that Keys would return, and costs less. The query
	// must be plain.
	KeyIDs(ctx context.Context, q Query) (IDPage, error)

	// Summary counts an owner's keys as they are at some time, or all keys if owner is
	// empty. It reads every key, so call it rarely.
	Summary(ctx context.Context, owner string, at time.Time) (Summary, error)

	// CreateKey stores a new key. It returns ErrNameTaken, ErrTooManyKeys, ErrActorGone or
	// a *apikey.DeniedError.
	CreateKey(ctx context.Context, actor Actor, key apikey.Key) error

	// UpdateKey makes a change and returns the key as it is afterwards. A change
	// that changes nothing writes nothing. It returns ErrNotFound, ErrRevoked,
	// ErrNameTaken, ErrTooManyKeys if it prolongs an expired key, ErrActorGone or a
	// *apikey.DeniedError.
	UpdateKey(ctx context.Context, actor Actor, ref Ref, change apikey.Change) (apikey.Key, error)

	// RevokeKey ends a key for good and returns it. Revoking a revoked key changes
	// nothing, not even the reason. It returns ErrNotFound, ErrActorGone or a
	// *apikey.DeniedError.
	RevokeKey(ctx context.Context, actor Actor, ref Ref, reason apikey.Reason) (apikey.Key, error)

	// RotateKey gives a key another secret and returns it. It returns ErrNotFound,
	// ErrRevoked, ErrRotated, ErrActorGone or a *apikey.DeniedError.
	RotateKey(ctx context.Context, actor Actor, ref Ref, rotation apikey.Rotation) (apikey.Key, error)

	// EndSecret ends the actor's secret, and needs no other right. If it is its key's current
	// secret, the key is revoked as compromised, expired or not; if it is the old one in its grace, the
	// grace ends. It returns the key as it is afterwards, or ErrNotFound if the secret is
	// neither.
	EndSecret(ctx context.Context, actor Actor) (apikey.Key, error)

	// RecordOutside writes an ActionOutside event: a key was used from this address, which is empty if
	// unknown. It writes nothing if it did so within the last hour, on any node, or if the key is revoked or
	// observes no networks any more.
	RecordOutside(ctx context.Context, id apikey.ID, address string) error

	AuditLog
	Foreign
	Owners
	Quotas
	Sessions
	Webhooks
	Notices
	Usage

	// Watch tells a watcher of every change from now on. There can be only one.
	Watch(w Watcher)

	// Ping returns nil if the store can be read now. It writes nothing and waits for
	// no writer: a store that cannot accept changes still answers.
	Ping(ctx context.Context) error

	// Close releases everything. No method may be called afterwards.
	Close() error
}

// Watcher keeps a cache of keys and owners correct. Its methods return quickly, and are safe for
// concurrent use.
type Watcher interface {
	// Changed says that a key, or an owner with this apikey.OwnerID, may have changed. It is
	// called before the call that made the change returns.
	Changed(id apikey.ID)

	// ChangedAll says that any key and any owner may have changed.
	ChangedAll()

	// Trust says that until then the watcher hears of every change. A cache may be used only
	// while that is so; at first it is not.
	Trust(until time.Time)
}

// Ref names one key: by ID if it is set, else by Owner and Name. With an ID, a
// non-empty Owner must be the key's owner; an empty one matches any.
type Ref struct {
	ID    apikey.ID
	Owner string
	Name  string

	// Match is a condition for changing the key, checked in the transaction of the change, which else returns
	// ErrChanged. Reads ignore it.
	Match apikey.Match
}

// ByID names the key with this id, whatever its owner.
func ByID(id apikey.ID) Ref { return Ref{ID: id} }

// ByName names a key by its owner and name.
func ByName(owner, name string) Ref { return Ref{Owner: owner, Name: name} }

// Query selects keys for a list. A filter with its zero value matches every key.
type Query struct {
	Owner          string
	Status         apikey.Status
	At             time.Time              // when keys must have that Status, or be Rotating or Foreign
	NameContains   string                 // byte for byte
	Scope          string                 // one of the key's, which is a scope by the rules of keys
	Metadata       []apikey.MetadataEntry // all of them must be the key's
	Search         string                 // in the name or owner, ignoring case, or in the prefix; passes apikey.CheckSearch
	ExpiresBefore  time.Time
	LastUsedBefore time.Time // neither used nor created since then
	Enabled        *bool     // whether keys are not suspended
	Reason         apikey.Reason
	Rotating       *bool // whether keys are active and their old secret is in its grace, At that time
	Sessions       bool  // only keys of sessions; otherwise only others
	Foreign        *bool // whether keys have a foreign secret, At that time; see apikey.Key.HasForeign

	Limit  int       // how many keys at most, from 1
	Offset int       // how many to skip; 0 with After
	After  apikey.ID // only keys after the one with this id; zero starts with the first
}

// IsPlain reports whether a Query has no filter other than Owner.
func (q Query) IsPlain() bool {
	return q.Status == "" && q.NameContains == "" && q.Scope == "" && len(q.Metadata) == 0 && q.Search == "" && q.ExpiresBefore.IsZero() && q.LastUsedBefore.IsZero() &&
		q.Rotating == nil && q.Foreign == nil && q.Enabled == nil && q.Reason == "" && !q.Sessions
}

// Page is an answer to a Query.
type Page struct {
	Keys  []apikey.Key
	Total int  // how many keys match in all; 0 with After, because they are not counted then
	More  bool // whether keys follow
}

// IDPage is a Page of ids.
type IDPage struct {
	IDs   []apikey.ID
	Total int
	More  bool
}

// Summary counts keys by status, and the active ones that need attention. Each number is how
// many keys a Query finds.
type Summary struct {
	Active, Expired, Revoked int

	Suspended    int // they or their owner; Revoked includes them
	Rotating     int
	ExpiringSoon int // within apikey.ExpiringSoon
	Unused       int // for longer than apikey.UnusedAfter
}

// Actor makes a change: a key, or the operator of this machine. The zero
// Actor may change nothing.
type Actor struct {
	Key       apikey.ID   // zero for the operator
	Secret    apikey.Hash // of the secret that authenticated the key
	Via       string      // "http", "leak report", or the operator's command
	Address   string      // of the caller; empty for the operator
	RequestID string      // links the audit event to the log; empty for the operator

	operator bool
}

// Operator returns the actor of a command with access to the database itself, which may do everything.
func Operator(command string) Actor { return Actor{Via: command, operator: true} }

// Visitor returns the actor of a person at this address who has no key yet. The operator's configuration gives them one.
func Visitor(via, address, requestID string) Actor {
	return Actor{Via: via, Address: address, RequestID: requestID, operator: true}
}

// IsOperator reports whether the actor is the operator and not a key.
func (a Actor) IsOperator() bool { return a.operator }
