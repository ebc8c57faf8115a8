package apikey

import (
	"fmt"
	"time"
)

// Policy is what the operator decides about new and changed keys. The zero Policy
// uses DefaultPrefix and sets no maximum lifetime.
type Policy struct {
	Prefix      string        // begins new secrets; see CheckPrefix
	MaxLifetime time.Duration // counted from the request; 0 is unlimited
}

// NewKey checks settings and mints a key that has them. The returned secret is the only one
// there will ever be. It returns an *InvalidError that lists every field at fault.
func (p Policy) NewKey(now time.Time, s Settings) (Key, Secret, error) {
	secret := p.NewSecret()
	key, err := p.KeyFor(now, s, secret)
	if err != nil {
		return Key{}, Secret{}, err
	}
	return key, secret, nil
}

// NewSecret mints a secret for a key that does not exist yet.
func (p Policy) NewSecret() Secret {
	prefix := p.Prefix
	if prefix == "" {
		prefix = DefaultPrefix
	}
	return NewSecret(prefix, NewID())
}

// KeyFor is NewKey for a secret that exists already.
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

// Longest returns lifetime, shortened to the maximum.
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
