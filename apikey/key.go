package apikey

import "time"

// Key is a stored API key: everything except its secret.
type Key struct {
	ID ID
	Settings
	Prefix     string // shown in lists; see Secret.Prefix
	SecretHash Hash
	CreatedAt  time.Time
	RevokedAt  time.Time // zero unless revoked
	RotatedAt  time.Time // zero until the first rotation
	LastUsedAt time.Time // zero until the first use

	LastUsedFrom string // the address of that use; empty if unknown

	OwnerSuspended bool // whether its owner was suspended when the key was read; stored with the owner

	RevocationReason Reason // empty unless revoked

	// The secret before the last rotation and the end of its grace period, or both zero. Accepts and
	// GraceEnd interpret them.
	OldSecretHash  Hash
	OldSecretUntil time.Time

	Session Session // how the session began that it belongs to; empty for all other keys

	Foreign ForeignUse // which secret is foreign; HasForeign interprets it
}

// Status is derived from a key and the time, and never stored.
type Status string

// The statuses of a key, as the contract spells them.
const (
	StatusActive  Status = "ACTIVE"
	StatusExpired Status = "EXPIRED"
	StatusRevoked Status = "REVOKED"
)

// Status returns StatusRevoked if the key is revoked or it or its owner is suspended, else StatusExpired from its
// expiry on, else StatusActive. Suspension has no status of its own: clients of the first contract know only these.
func (k *Key) Status(now time.Time) Status {
	switch {
	case k.IsRevoked(), k.Suspended, k.OwnerSuspended:
		return StatusRevoked
	case k.IsExpired(now):
		return StatusExpired
	}
	return StatusActive
}

// IsExpired reports whether the key's expiry has passed, whatever its status is.
func (k *Key) IsExpired(now time.Time) bool { return !now.Before(k.ExpiresAt) }

// SecretMade returns when the current secret was made.
func (k *Key) SecretMade() time.Time {
	if k.RotatedAt.IsZero() {
		return k.CreatedAt
	}
	return k.RotatedAt
}

const (
	// ExpiringSoon is how long before its expiry an active key counts as expiring soon.
	ExpiringSoon = 30 * 24 * time.Hour
	// UnusedAfter is how long after its last use an active key counts as unused. A key that was
	// never used counts from its creation.
	UnusedAfter = 90 * 24 * time.Hour
)
