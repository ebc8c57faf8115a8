package apikey

import "time"

// MaxGrace is how long a secret may stay good after it was rotated out.
const MaxGrace = 7 * 24 * time.Hour

// Rotation replaces a key's secret.
type Rotation struct {
	From  Hash          // of the secret to replace: what the caller saw
	To    Hash          // of the new secret, made by Key.NewSecret
	Grace time.Duration // how long From stays good, from 0 to MaxGrace
}

// NewSecret mints another secret for the key: with its id, and with the prefix that it
// has, whatever new keys begin with now.
func (k Key) NewSecret() Secret {
	return NewSecret(k.Prefix[:len(k.Prefix)-ShownDigits-1], k.ID)
}

// Rotate returns the key with its new secret. The old one stays good for the grace, but
// never past the key's end; one that was older still ends now.
func (k Key) Rotate(r Rotation, now time.Time) Key {
	k.OldSecretHash, k.OldSecretUntil = k.SecretHash, truncate(now.Add(r.Grace))
	if k.OldSecretUntil.After(k.ExpiresAt) {
		k.OldSecretUntil = k.ExpiresAt
	}
	k.SecretHash = r.To
	if !k.OldSecretUntil.After(now) {
		k = k.EndGrace()
	}
	return k
}

// EndGrace returns the key with its current secret only.
func (k Key) EndGrace() Key {
	k.OldSecretHash, k.OldSecretUntil = Hash{}, time.Time{}
	return k
}

// GraceEnd returns until when the old secret is good, and the zero time if it is not.
func (k Key) GraceEnd(now time.Time) time.Time {
	if k.IsRevoked() || !k.OldSecretUntil.After(now) {
		return time.Time{}
	}
	if k.ExpiresAt.Before(k.OldSecretUntil) {
		return k.ExpiresAt // moved nearer since
	}
	return k.OldSecretUntil
}

// Accepts reports whether a secret with this hash is the key's: the current one, or the
// old one in its grace. It takes the same time for every hash. Whether the key is good
// is for Status to say.
func (k *Key) Accepts(h Hash, now time.Time) bool {
	if k.OldSecretUntil.IsZero() {
		return k.SecretHash.Equal(h)
	}
	current, old := k.SecretHash.Equal(h), k.OldSecretHash.Equal(h)
	return current || old && k.OldSecretUntil.After(now)
}
