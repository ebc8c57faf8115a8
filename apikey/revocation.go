package apikey

import (
	"cmp"
	"time"
)

// Reason says why a key was revoked.
type Reason string

// The reasons, as the contract spells them.
const (
	ReasonUnspecified   Reason = "unspecified"
	ReasonKeyCompromise Reason = "key_compromise"
	ReasonSuperseded    Reason = "superseded"
	ReasonNoLongerUsed  Reason = "no_longer_used"
	ReasonOwnerLeft     Reason = "owner_left"
	ReasonPolicy        Reason = "policy"
)

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{
		ReasonUnspecified, ReasonKeyCompromise, ReasonSuperseded, ReasonNoLongerUsed, ReasonOwnerLeft, ReasonPolicy,
	}
}

// IsRevoked reports whether the key was revoked, which is final.
func (k *Key) IsRevoked() bool { return !k.RevokedAt.IsZero() }

// Revoke returns the key as it is after its revocation at now. An empty reason is ReasonUnspecified. A
// suspension ends with it: nobody can enable the key any more.
func (k Key) Revoke(now time.Time, reason Reason) Key {
	k.RevokedAt, k.RevocationReason = now, cmp.Or(reason, ReasonUnspecified)
	k.Suspended = false
	return k
}
