package apikey

import "time"

// MaxGrace limits how long a secret may stay valid after its rotation.
const MaxGrace = 7 * 24 * time.Hour

// Rotation replaces a key's secret.
type Rotation struct {
	From  Hash          // of the secret to replace, as the caller read it
	To    Hash          // of the new secret, from Key.NewSecret
	Grace time.Duration // how long From stays valid, from 0 to MaxGrace
}

// NewSecret makes another secret for the key, with the key's own id and prefix, even if new keys get
// another prefix.
func (k Key) NewSecret() Secret {
	return NewSecret(k.Prefix[:len(k.Prefix)-ShownDigits-1], k.ID)
}

// Rotate returns the key with its new secret. The replaced secret stays valid for the grace period, but
// not past the key's expiry. An earlier old secret ends now.
func (k Key) Rotate(r Rotation, now time.Time) Key {
	k.OldSecretHash, k.OldSecretUntil = k.SecretHash, truncate(now.Add(r.Grace))
	if k.OldSecretUntil.After(k.ExpiresAt) {
		k.OldSecretUntil = k.ExpiresAt
	}
	k.SecretHash, k.RotatedAt = r.To, truncate(now)
	switch k.Foreign {
	case ForeignCurrent:
		k.Foreign = ForeignOld
	default:
		k.Foreign = ForeignNone
	}
	if !k.OldSecretUntil.After(now) {
		k = k.EndGrace()
	}
	return k
}

// EndGrace returns the key without its old secret.
func (k Key) EndGrace() Key {
	k.OldSecretHash, k.OldSecretUntil = Hash{}, time.Time{}
	if k.Foreign == ForeignOld {
		k.Foreign = ForeignNone
	}
	return k
}

// GraceEnd returns the end of the old secret's grace period, or the zero time if that is over.
func (k Key) GraceEnd(now time.Time) time.Time {
	if k.IsRevoked() || !k.OldSecretUntil.After(now) {
		return time.Time{}
	}
	if k.ExpiresAt.Before(k.OldSecretUntil) {
		return k.ExpiresAt // it was moved forward since the rotation
	}
	return k.OldSecretUntil
}

// Accepts reports whether this is the hash of the key's current secret, or of the old one in its grace
// period. It takes the same time for every hash, and ignores the key's status.
func (k *Key) Accepts(h Hash, now time.Time) bool {
	if k.OldSecretUntil.IsZero() {
		return k.SecretHash.Equal(h)
	}
	current, old := k.SecretHash.Equal(h), k.OldSecretHash.Equal(h)
	return current || old && k.OldSecretUntil.After(now)
}
