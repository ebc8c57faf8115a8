package client

import (
	"encoding/json"
	"errors"
	"io"
	"time"
)

// The fields of a key, each with its name in the contract. Answers are decoded into these types,
// and requests are encoded from them.

// Status is the status of a key.
type Status string

// The statuses of a key.
const (
	StatusActive  Status = "ACTIVE"
	StatusExpired Status = "EXPIRED" // until a later expiry makes it ACTIVE again
	StatusRevoked Status = "REVOKED" // for good, or suspended, itself or with its owner: see Key.IsSuspended
)

// RevocationReason says why a key was revoked.
type RevocationReason string

// The reasons of a revocation.
const (
	ReasonUnspecified   RevocationReason = "unspecified"
	ReasonKeyCompromise RevocationReason = "key_compromise"
	ReasonSuperseded    RevocationReason = "superseded"
	ReasonNoLongerUsed  RevocationReason = "no_longer_used"
	ReasonOwnerLeft     RevocationReason = "owner_left"
	ReasonPolicy        RevocationReason = "policy"
)

// Session says how a session in the console began.
type Session string

// The kinds of sessions.
const (
	SessionSignIn Session = "sign_in" // a person signed in at the identity provider
	SessionLink   Session = "link"    // somebody opened an owner link
)

// Key is an API key without its secret. Times are in UTC and whole milliseconds.
type Key struct {
	ID          string            `json:"id"`   // a UUID that never changes; ids sort by creation
	Name        string            `json:"name"` // unique among its owner's keys that are not revoked
	Owner       string            `json:"owner"`
	Prefix      string            `json:"prefix"` // the start of its secret, to recognise the key
	ETag        string            `json:"-"`      // its state, for [Client.IfMatch]; empty in lists and verifications
	Scopes      []string          `json:"scopes"`
	Metadata    map[string]string `json:"metadata"`
	RateLimit   RateLimit         `json:"rate_limit,omitzero"` // zero if there is none
	Quota       Quota             `json:"quota,omitzero"`      // zero if there is none
	Status      Status            `json:"status"`
	CreatedAt   time.Time         `json:"created_at"`
	ExpiresAt   time.Time         `json:"expires_at"`
	RevokedAt   time.Time         `json:"revoked_at,omitzero"`    // zero unless the key is revoked
	RotatedAt   time.Time         `json:"rotated_at,omitzero"`    // the last rotation; zero if there was none
	GraceEndsAt time.Time         `json:"grace_ends_at,omitzero"` // end of the previous secret; zero if it no longer works
	LastUsedAt  time.Time         `json:"last_used_at,omitzero"`  // zero if never used; at most 10 seconds late

	LastUsedFrom string `json:"last_used_from,omitzero"` // the address of the last use; empty if unknown

	Enabled          bool             `json:"enabled"`                    // false while the key itself is suspended; its owner may be too
	RevocationReason RevocationReason `json:"revocation_reason,omitzero"` // empty unless the key is revoked
	ForeignSecret    bool             `json:"foreign_secret,omitzero"`    // whether a secret imported from another service still opens it
	Session          Session          `json:"session,omitzero"`           // how the session began that it belongs to; empty for all other keys

	AllowedCIDRs []string `json:"allowed_cidrs,omitzero"` // the networks it may be used from; nil if from anywhere
	ObserveCIDRs []string `json:"observe_cidrs,omitzero"` // use from elsewhere is reported; nil if none is
}

// IsSuspended reports whether the key is refused until it or its owner is enabled again. Its status is StatusRevoked,
// because clients of the first contract know no other. Servers from before suspensions do not send Enabled.
func (k Key) IsSuspended() bool { return k.Status == StatusRevoked && k.RevokedAt.IsZero() }

// NewKey describes a key to create. Its owner is the calling key's, or that of [Client.ForOwner].
type NewKey struct {
	Name      string    `json:"name"`       // 1 to 255 characters
	ExpiresAt time.Time `json:"expires_at"` // in the future; truncated to milliseconds
	// Scopes are what the key may do. With nil it gets keys:read and keys:write as far as the
	// calling key has them; with a pointer to an empty list it may do nothing in the service. It
	// is a pointer so that a list that turns out empty grants nothing.
	Scopes *[]string `json:"scopes,omitzero"`
	// Metadata is anything you want to keep with the key, except secrets.
	Metadata map[string]string `json:"metadata,omitzero"`
	// RateLimit is the key's rate limit. With nil it gets the calling key's; with a pointer to
	// the zero RateLimit it gets none. Both pointers need keys:admin.
	RateLimit *RateLimit `json:"rate_limit,omitzero"`
	// Enabled, if false, creates the key suspended. Nil means true.
	Enabled *bool `json:"enabled,omitzero"`
	// Quota is the key's quota. What is true of RateLimit is true of it.
	Quota *Quota `json:"quota,omitzero"`
	// Recipient is the age public key of whoever is to have the secret: only its owner can open the
	// SealedSecret.
	Recipient string `json:"recipient,omitzero"`
	// AllowedCIDRs are the networks, such as 192.0.2.0/24, that the key may be used from; empty is
	// from anywhere. With nil it gets those of the calling key, unless that has keys:admin.
	AllowedCIDRs *[]string `json:"allowed_cidrs,omitzero"`
	// ObserveCIDRs are networks too, but use from elsewhere is only reported in the audit log.
	ObserveCIDRs *[]string `json:"observe_cidrs,omitzero"`
}

// body returns the request body that creates k for an owner; nil is the calling key's.
func (k NewKey) body(owner *string) (io.Reader, error) {
	k.ExpiresAt = k.ExpiresAt.UTC()
	k.Scopes, k.AllowedCIDRs, k.ObserveCIDRs = emptyIfNil(k.Scopes), emptyIfNil(k.AllowedCIDRs), emptyIfNil(k.ObserveCIDRs)
	return encode(struct {
		NewKey
		Owner *string `json:"owner,omitzero"`
	}{k, owner})
}

// Change describes a change of a key. Nil fields stay as they are.
type Change struct {
	Name      *string            `json:"name,omitzero"`
	ExpiresAt *time.Time         `json:"expires_at,omitzero"` // in the future; truncated to milliseconds
	Scopes    *[]string          `json:"scopes,omitzero"`     // replaces all of them
	Metadata  *map[string]string `json:"metadata,omitzero"`   // replaces all of it
	RateLimit *RateLimit         `json:"rate_limit,omitzero"` // the zero RateLimit removes it; needs keys:admin
	Enabled   *bool              `json:"enabled,omitzero"`    // false suspends the key, true ends that
	Quota     *Quota             `json:"quota,omitzero"`      // the zero Quota removes it; needs keys:admin

	AllowedCIDRs *[]string `json:"allowed_cidrs,omitzero"` // replaces all of them; an empty list removes them
	ObserveCIDRs *[]string `json:"observe_cidrs,omitzero"` // likewise
}

// body returns the request body that makes the change.
func (c Change) body() (io.Reader, error) {
	if c.ExpiresAt != nil {
		c.ExpiresAt = new(c.ExpiresAt.UTC())
	}
	c.Scopes, c.AllowedCIDRs, c.ObserveCIDRs = emptyIfNil(c.Scopes), emptyIfNil(c.AllowedCIDRs), emptyIfNil(c.ObserveCIDRs)
	if c.Metadata != nil && *c.Metadata == nil {
		c.Metadata = &map[string]string{} // nil would be null
	}
	return encode(c)
}

// emptyIfNil replaces a nil list with an empty one: nil would be null in JSON.
func emptyIfNil(list *[]string) *[]string {
	if list != nil && *list == nil {
		return &[]string{}
	}
	return list
}

// AuditChanges are the changed fields of a key or owner. Fields that did not change are nil.
type AuditChanges struct {
	Name        *AuditChange[string]            `json:"name,omitzero"`
	ExpiresAt   *AuditChange[time.Time]         `json:"expires_at,omitzero"`
	Scopes      *AuditChange[[]string]          `json:"scopes,omitzero"`
	Metadata    *AuditChange[map[string]string] `json:"metadata,omitzero"`
	RateLimit   *AuditChange[RateLimit]         `json:"rate_limit,omitzero"`
	Quota       *AuditChange[Quota]             `json:"quota,omitzero"`
	RevokedAt   *AuditChange[time.Time]         `json:"revoked_at,omitzero"`
	GraceEndsAt *AuditChange[time.Time]         `json:"grace_ends_at,omitzero"`

	MaxKeys          *AuditChange[int]    `json:"max_keys,omitzero"` // of an owner
	Enabled          *AuditChange[bool]   `json:"enabled,omitzero"`
	RevocationReason *AuditChange[string] `json:"revocation_reason,omitzero"`
	Imported         *AuditChange[string] `json:"imported,omitzero"` // the scheme of a new key's imported secret

	Notice *AuditChange[Notice] `json:"notice,omitzero"` // what a notice says, in To

	URL            *AuditChange[string]   `json:"url,omitzero"` // of a webhook: its host only
	Events         *AuditChange[[]string] `json:"events,omitzero"`
	DisabledReason *AuditChange[string]   `json:"disabled_reason,omitzero"`

	WebhookDescription *AuditChange[string] `json:"webhook_description,omitzero"`

	AllowedCIDRs *AuditChange[[]string] `json:"allowed_cidrs,omitzero"`
	ObserveCIDRs *AuditChange[[]string] `json:"observe_cidrs,omitzero"`
}

// Notice is what an event says that changes nothing. Which fields are set depends on the action.
type Notice struct {
	EndsAt           time.Time `json:"ends_at,omitzero"`           // of the key, or its old secret
	ThresholdSeconds int       `json:"threshold_seconds,omitzero"` // to which the time until then has fallen
	SecretSince      time.Time `json:"secret_since,omitzero"`      // when the secret was made
	Limit            int       `json:"limit,omitzero"`             // of the quota
	ResetsAt         time.Time `json:"resets_at,omitzero"`         // when the quota starts anew
	Network          string    `json:"network,omitzero"`           // from which the key was used
}

// RateLimit is how often a key may pass [Client.Verify] and gateways that ask the service: Limit
// times at once, and once more each time Window/Limit has passed. The zero RateLimit means no
// limit.
type RateLimit struct {
	Limit  int           // 1 to 1,000,000
	Window time.Duration // whole seconds, up to a day
}

// limitJSON is a RateLimit in the contract's form.
type limitJSON struct {
	Limit         int `json:"limit"`
	WindowSeconds int `json:"window_seconds"`
}

// MarshalJSON writes the contract's form. The zero RateLimit is null.
func (r RateLimit) MarshalJSON() ([]byte, error) {
	if r == (RateLimit{}) {
		return []byte("null"), nil
	}
	if r.Window%time.Second != 0 {
		return nil, errors.New("the window of a rate limit must be whole seconds")
	}
	return json.Marshal(limitJSON{Limit: r.Limit, WindowSeconds: int(r.Window / time.Second)})
}

// UnmarshalJSON reads the contract's form.
func (r *RateLimit) UnmarshalJSON(text []byte) error {
	var limit limitJSON
	err := json.Unmarshal(text, &limit)
	*r = RateLimit{Limit: limit.Limit, Window: time.Duration(limit.WindowSeconds) * time.Second}
	return err
}

// Period is the length of a quota's periods, which start at midnight UTC.
type Period string

// The periods.
const (
	Day   Period = "day"
	Week  Period = "week"
	Month Period = "month"
)

// Quota is how many units the calls that pass [Client.Verify] and gateways may use in each calendar
// period. A call costs one unit unless it says otherwise. The zero Quota means no quota.
type Quota struct {
	Limit  int    `json:"limit"` // 1 to 1,000,000,000,000
	Period Period `json:"period"`
	// StartsOn is the day on which a period starts: of the week, 1 (Monday) to 7, or of the month,
	// 1 to 31, where a shorter month uses its last day. For days it is 1. To set a quota, 0 means 1.
	StartsOn int `json:"starts_on,omitzero"`
}

// MarshalJSON writes the contract's form. The zero Quota is null.
func (q Quota) MarshalJSON() ([]byte, error) {
	if q == (Quota{}) {
		return []byte("null"), nil
	}
	type plain Quota
	return json.Marshal(plain(q))
}

// QuotaState is what is left of a quota.
type QuotaState struct {
	Remaining int       `json:"remaining"` // units left in this period
	ResetsAt  time.Time `json:"resets_at"` // when the next period starts
}
