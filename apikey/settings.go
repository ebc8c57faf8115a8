package apikey

import "time"

// Settings are the fields that a key's creator chooses. A new field needs a line here, one in Change, and a
// definition in settings.
type Settings struct {
	Owner     string // never changes
	Name      string
	ExpiresAt time.Time
	Scopes    Scopes
	Metadata  Metadata
	RateLimit RateLimit
	Suspended bool // enabled is false: refused until it is enabled again
	Quota     Quota

	AllowedCIDRs CIDRs // from where it may be used; empty is from everywhere
	ObserveCIDRs CIDRs // from where it should be used; use from elsewhere is only reported
}

// Change is a change of a key, as in a PATCH. Nil fields stay as they are.
type Change struct {
	Name      *string
	ExpiresAt *time.Time
	Scopes    *Scopes
	Metadata  *Metadata  // replaces all metadata
	RateLimit *RateLimit // the zero RateLimit removes the limit
	Suspended *bool
	Quota     *Quota // the zero Quota removes the quota

	AllowedCIDRs *CIDRs // replaces all of them
	ObserveCIDRs *CIDRs
}

// definition defines a field of a key's Settings.
type definition[T any] = definitionOf[Settings, Change, T]

// settings defines the fields. InvalidErrors list faults in this order.
var settings = []setting{
	definition[string]{
		name: "name", of: func(s *Settings) *string { return &s.Name }, in: func(c Change) *string { return c.Name },
		check: rule(CheckName), json: appendText,
	}.setting(),
	definition[time.Time]{
		name: "expires_at", of: func(s *Settings) *time.Time { return &s.ExpiresAt },
		in:        func(c Change) *time.Time { return c.ExpiresAt },
		normalize: truncate, check: Policy.checkExpiry, json: appendTime,
	}.setting(),
	definition[string]{
		name: "owner", of: func(s *Settings) *string { return &s.Owner },
		check: rule(CheckOwner), json: appendText,
	}.setting(),
	definition[Scopes]{
		name: "scopes", of: func(s *Settings) *Scopes { return &s.Scopes }, in: func(c Change) *Scopes { return c.Scopes },
		check: rule(CheckScopes), json: appendScopes,
	}.setting(),
	definition[Metadata]{
		name: "metadata", of: func(s *Settings) *Metadata { return &s.Metadata },
		in:        func(c Change) *Metadata { return c.Metadata },
		normalize: Metadata.orEmpty, check: rule(CheckMetadata), json: appendMetadata,
	}.setting(),
	definition[RateLimit]{
		name: "rate_limit", of: func(s *Settings) *RateLimit { return &s.RateLimit },
		in:    func(c Change) *RateLimit { return c.RateLimit },
		check: rule(CheckRateLimit), json: appendRateLimit,
	}.setting(),
	definition[bool]{
		name: "enabled", of: func(s *Settings) *bool { return &s.Suspended },
		in:    func(c Change) *bool { return c.Suspended },
		check: rule(anyBool), json: appendNot,
	}.setting(),
	definition[Quota]{
		name: "quota", of: func(s *Settings) *Quota { return &s.Quota },
		in:    func(c Change) *Quota { return c.Quota },
		check: rule(CheckQuota), json: appendQuota,
	}.setting(),
	networks("allowed_cidrs", func(s *Settings) *CIDRs { return &s.AllowedCIDRs }, func(c Change) *CIDRs { return c.AllowedCIDRs }),
	networks("observe_cidrs", func(s *Settings) *CIDRs { return &s.ObserveCIDRs }, func(c Change) *CIDRs { return c.ObserveCIDRs }),
}

// networks defines a list of networks.
func networks(name string, of func(*Settings) *CIDRs, in func(Change) *CIDRs) setting {
	return definition[CIDRs]{
		name: name, of: of, in: in, normalize: CIDRs.orNil, json: appendCIDRs,
		check: rule(func(c CIDRs) error { return CheckCIDRs(name, c) }),
	}.setting()
}

// normalized returns the settings as they are kept.
func (s Settings) normalized() Settings { return normalize(settings, s) }

func (p Policy) checkSettings(now time.Time, s Settings) error {
	errs := make([]error, 0, len(settings))
	for _, field := range settings {
		errs = append(errs, field.check(p, now, &s))
	}
	return joinInvalid(errs...)
}

// CheckChange returns an *InvalidError that lists all invalid fields of c.
func (p Policy) CheckChange(now time.Time, c Change) error { return checkChange(settings, p, now, c) }

// Apply returns the key with the change made.
func (k Key) Apply(c Change) Key {
	k.Settings = apply(settings, k.Settings, c)
	return k
}
