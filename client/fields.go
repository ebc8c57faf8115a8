package client

import (
	"encoding/json"
	"errors"
	"io"
	"time"
)

// The fields of a key, each with its name in the contract. The service's answers are decoded
// into these types, and its requests are encoded from them.

// Status says whether a key is good.
type Status string

// The statuses of a key.
const (
	StatusActive  Status = "ACTIVE"
	StatusExpired Status = "EXPIRED" // its end has passed; moving the end makes it ACTIVE again
	StatusRevoked Status = "REVOKED" // for good
)

// Key is an API key as the service knows it, without its secret. Times are in UTC and
// whole milliseconds.
type Key struct {
	ID          string            `json:"id"`   // a UUID that never changes; ids sort by creation
	Name        string            `json:"name"` // unique among its owner's keys that are not revoked
	Owner       string            `json:"owner"`
	Prefix      string            `json:"prefix"` // how its secret begins: recognises a key, opens nothing
	Scopes      []string          `json:"scopes"`
	Metadata    map[string]string `json:"metadata"`
	RateLimit   RateLimit         `json:"rate_limit,omitzero"` // zero if it has none
	Status      Status            `json:"status"`
	CreatedAt   time.Time         `json:"created_at"`
	ExpiresAt   time.Time         `json:"expires_at"`
	RevokedAt   time.Time         `json:"revoked_at,omitzero"`    // zero unless the key is revoked
	GraceEndsAt time.Time         `json:"grace_ends_at,omitzero"` // until when the secret before the last rotation is good; zero if it is not
	LastUsedAt  time.Time         `json:"last_used_at,omitzero"`  // zero if it never was; at most 10 seconds late
}

// NewKey describes a key to create. Its owner is that of the calling key, or that of
// [Client.ForOwner].
type NewKey struct {
	Name      string    `json:"name"`       // 1 to 255 characters
	ExpiresAt time.Time `json:"expires_at"` // in the future; truncated to milliseconds
	// Scopes are what the key may do. Nil gives it those of keys:read and keys:write
	// that the calling key has; a pointer to no scopes makes a key that opens nothing in
	// the service. It is a pointer so that a list that turns out empty grants nothing.
	Scopes *[]string `json:"scopes,omitzero"`
	// Metadata is whatever you want to keep with the key, but no secret.
	Metadata map[string]string `json:"metadata,omitzero"`
	// RateLimit of the key. Nil gives it that of the calling key; a pointer to the zero
	// RateLimit is none. Saying either needs keys:admin.
	RateLimit *RateLimit `json:"rate_limit,omitzero"`
}

// body returns the request that creates k for an owner, or for the caller's.
func (k NewKey) body(owner *string) (io.Reader, error) {
	k.ExpiresAt = k.ExpiresAt.UTC()
	k.Scopes = listed(k.Scopes)
	return encode(struct {
		NewKey
		Owner *string `json:"owner,omitzero"`
	}{k, owner})
}

// Change says what to change of a key. What is nil stays as it is.
type Change struct {
	Name      *string            `json:"name,omitzero"`
	ExpiresAt *time.Time         `json:"expires_at,omitzero"` // in the future; truncated to milliseconds
	Scopes    *[]string          `json:"scopes,omitzero"`     // replaces all of them
	Metadata  *map[string]string `json:"metadata,omitzero"`   // replaces all of it
	RateLimit *RateLimit         `json:"rate_limit,omitzero"` // the zero RateLimit takes it away; needs keys:admin
}

// body returns the request that makes the change.
func (c Change) body() (io.Reader, error) {
	if c.ExpiresAt != nil {
		c.ExpiresAt = new(c.ExpiresAt.UTC())
	}
	c.Scopes = listed(c.Scopes)
	if c.Metadata != nil && *c.Metadata == nil {
		c.Metadata = &map[string]string{} // nil would be null
	}
	return encode(c)
}

// listed makes a nil list an empty one: in JSON nil would be null.
func listed(list *[]string) *[]string {
	if list != nil && *list == nil {
		return &[]string{}
	}
	return list
}

// AuditChanges are the fields of a key that changed; nil did not.
type AuditChanges struct {
	Name        *AuditChange[string]            `json:"name,omitzero"`
	ExpiresAt   *AuditChange[time.Time]         `json:"expires_at,omitzero"`
	Scopes      *AuditChange[[]string]          `json:"scopes,omitzero"`
	Metadata    *AuditChange[map[string]string] `json:"metadata,omitzero"`
	RateLimit   *AuditChange[RateLimit]         `json:"rate_limit,omitzero"`
	RevokedAt   *AuditChange[time.Time]         `json:"revoked_at,omitzero"`
	GraceEndsAt *AuditChange[time.Time]         `json:"grace_ends_at,omitzero"`
}

// RateLimit is how often a key passes [Client.Verify] and the gateways that ask the
// service: Limit times at once, and once more each time Window/Limit has gone by. The
// zero RateLimit is none.
type RateLimit struct {
	Limit  int           // 1 to 1,000,000
	Window time.Duration // whole seconds, up to a day
}

// limitJSON is a RateLimit in the contract.
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
