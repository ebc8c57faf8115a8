package apikey

import (
	"maps"
	"slices"
	"time"
)

// Key is one API key as it is stored: everything but its secret.
type Key struct {
	ID         ID
	Owner      string
	Name       string
	Prefix     string // recognises the key; see Secret.Prefix
	Scopes     Scopes
	Metadata   Metadata
	RateLimit  RateLimit
	SecretHash Hash
	CreatedAt  time.Time
	ExpiresAt  time.Time
	RevokedAt  time.Time // zero unless revoked
	LastUsedAt time.Time // zero until used

	// The secret before the last rotation and the end of its grace; both zero if there
	// is none. Ask Accepts and GraceEnd.
	OldSecretHash  Hash
	OldSecretUntil time.Time
}

// Status is derived from a key and the time; it is never stored.
type Status string

// The statuses of a key, as the contract spells them.
const (
	StatusActive  Status = "ACTIVE"
	StatusExpired Status = "EXPIRED"
	StatusRevoked Status = "REVOKED"
)

// Status returns REVOKED if the key is revoked, else EXPIRED from its expiry on,
// else ACTIVE.
func (k *Key) Status(now time.Time) Status {
	switch {
	case k.IsRevoked():
		return StatusRevoked
	case !now.Before(k.ExpiresAt):
		return StatusExpired
	}
	return StatusActive
}

// IsRevoked reports whether the key was ended for good.
func (k *Key) IsRevoked() bool { return !k.RevokedAt.IsZero() }

// Change is what a PATCH asks for. A nil field stays as it is.
type Change struct {
	Name      *string
	ExpiresAt *time.Time
	Scopes    *Scopes
	Metadata  *Metadata  // replaces all of it
	RateLimit *RateLimit // the zero RateLimit takes it away
}

// Apply returns the key with the change made, and the names of the fields that
// differ.
func (k Key) Apply(c Change) (Key, []string) {
	var changed []string
	if c.Name != nil && *c.Name != k.Name {
		k.Name = *c.Name
		changed = append(changed, "name")
	}
	if c.ExpiresAt != nil && !truncate(*c.ExpiresAt).Equal(k.ExpiresAt) {
		k.ExpiresAt = truncate(*c.ExpiresAt)
		changed = append(changed, "expires_at")
	}
	if c.Scopes != nil && !slices.Equal(*c.Scopes, k.Scopes) {
		k.Scopes = *c.Scopes
		changed = append(changed, "scopes")
	}
	if c.Metadata != nil && !maps.Equal(*c.Metadata, k.Metadata) {
		k.Metadata = *c.Metadata
		changed = append(changed, "metadata")
	}
	if c.RateLimit != nil && *c.RateLimit != k.RateLimit {
		k.RateLimit = *c.RateLimit
		changed = append(changed, "rate_limit")
	}
	return k, changed
}
