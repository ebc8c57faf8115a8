package apikey

import (
	"fmt"
	"time"
)

// Policy holds the operator's rules for new and changed keys. The zero Policy uses DefaultPrefix and sets
// no maximum lifetime.
type Policy struct {
	Prefix      string        // of new secrets; see CheckPrefix
	MaxLifetime time.Duration // counted from the request; 0 is unlimited
}

// NewKey checks settings and makes a key with them, and its secret, which is stored nowhere. It returns an
// *InvalidError that lists all invalid fields.
func (p Policy) NewKey(now time.Time, s Settings) (Key, Secret, error) {
	secret := p.NewSecret()
	key, err := p.KeyFor(now, s, secret)
	if err != nil {
		return Key{}, Secret{}, err
	}
	return key, secret, nil
}

// NewSecret makes a secret for a new key.
func (p Policy) NewSecret() Secret {
	return NewSecret(p.prefix(), NewID())
}

func (p Policy) prefix() string {
	if p.Prefix == "" {
		return DefaultPrefix
	}
	return p.Prefix
}

// KeyFor is NewKey with an existing secret.
func (p Policy) KeyFor(now time.Time, s Settings, secret Secret) (Key, error) {
	if err := p.checkSettings(now, s); err != nil {
		return Key{}, err
	}
	return Key{
		ID:         secret.ID(),
		Settings:   s.normalized(),
		Prefix:     secret.Prefix(),
		SecretHash: secret.Hash(),
		CreatedAt:  truncate(now),
	}, nil
}

// Longest returns lifetime, limited to the maximum.
func (p Policy) Longest(lifetime time.Duration) time.Duration {
	if p.MaxLifetime > 0 {
		return min(lifetime, p.MaxLifetime)
	}
	return lifetime
}

func (p Policy) checkExpiry(now, expiresAt time.Time) error {
	const field = "expires_at"
	expiresAt = truncate(expiresAt)
	switch {
	case !expiresAt.After(now):
		return Invalid(field, "must be in the future")
	case expiresAt.Year() > 9999:
		return Invalid(field, "must not be after 9999-12-31T23:59:59.999Z")
	case p.MaxLifetime > 0 && expiresAt.After(now.Add(p.MaxLifetime)):
		return Invalid(field, fmt.Sprintf("must be at most %s from now", p.MaxLifetime))
	}
	return nil
}
