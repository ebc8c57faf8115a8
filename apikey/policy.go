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

// Draft is what a new key is made from.
type Draft struct {
	Owner     string
	Name      string
	Scopes    Scopes
	Metadata  Metadata
	RateLimit RateLimit
	ExpiresAt time.Time
}

// NewKey checks a draft and mints its key. The returned secret is the only one
// there will ever be. It returns an *InvalidError that lists every field at fault.
func (p Policy) NewKey(now time.Time, d Draft) (Key, Secret, error) {
	secret := p.NewSecret()
	key, err := p.KeyFor(now, d, secret)
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
func (p Policy) KeyFor(now time.Time, d Draft, secret Secret) (Key, error) {
	err := joinInvalid(
		CheckName(d.Name),
		p.checkExpiry(now, d.ExpiresAt),
		CheckOwner(d.Owner),
		CheckScopes(d.Scopes),
		CheckMetadata(d.Metadata),
		CheckRateLimit(d.RateLimit),
	)
	if err != nil {
		return Key{}, err
	}
	if d.Metadata == nil {
		d.Metadata = Metadata{}
	}
	return Key{
		ID:         secret.ID(),
		Owner:      d.Owner,
		Name:       d.Name,
		Prefix:     secret.Prefix(),
		Scopes:     d.Scopes,
		Metadata:   d.Metadata,
		RateLimit:  d.RateLimit,
		SecretHash: secret.Hash(),
		CreatedAt:  truncate(now),
		ExpiresAt:  truncate(d.ExpiresAt),
	}, nil
}

// CheckChange returns an *InvalidError that lists every field of c at fault.
func (p Policy) CheckChange(now time.Time, c Change) error {
	var errs []error
	if c.Name != nil {
		errs = append(errs, CheckName(*c.Name))
	}
	if c.ExpiresAt != nil {
		errs = append(errs, p.checkExpiry(now, *c.ExpiresAt))
	}
	if c.Scopes != nil {
		errs = append(errs, CheckScopes(*c.Scopes))
	}
	if c.Metadata != nil {
		errs = append(errs, CheckMetadata(*c.Metadata))
	}
	if c.RateLimit != nil {
		errs = append(errs, CheckRateLimit(*c.RateLimit))
	}
	return joinInvalid(errs...)
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
