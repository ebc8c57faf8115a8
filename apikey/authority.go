package apikey

import "fmt"

// This file implements the rule "no escalation". Without it, any key created by the first key could take
// over the first key.

// MayWrite returns a *DeniedError if k may not change any key.
func (k Key) MayWrite() error {
	if !k.Scopes.Has(ScopeWrite) {
		return &DeniedError{Reason: "this needs a key with the scope " + ScopeWrite}
	}
	return nil
}

// MayReach returns a *DeniedError if k may not name owner in a request.
func (k Key) MayReach(owner string) error {
	if owner != k.Owner && !k.Scopes.Has(ScopeAdmin) {
		return &DeniedError{Reason: "owner: only a key with " + ScopeAdmin +
			" may name another owner; leave it out"}
	}
	return nil
}

// MayCreate returns a *DeniedError if k may not create key: for another owner, with a scope that k lacks,
// with a rate limit or quota other than its own, or for networks that k may not be used from.
func (k Key) MayCreate(key Key) error {
	if err := k.MayReach(key.Owner); err != nil {
		return err
	}
	if err := k.maySetLimits(k.Settings, key.Settings); err != nil {
		return err
	}
	if err := k.mayAllow(key.AllowedCIDRs); err != nil {
		return err
	}
	return k.mayGrant(key.Scopes)
}

// GrantableCIDRs returns the networks that keys which k creates may be used from, and are unless they name
// some. An admin's own do not bind the keys that it creates for others.
func (k Key) GrantableCIDRs() CIDRs {
	if k.Scopes.Has(ScopeAdmin) {
		return nil
	}
	return k.AllowedCIDRs
}

// MayManage returns a *DeniedError if k may not change, rotate or revoke target, because target has a
// scope that k lacks, or may be used from where k may not: k could take its secret and be free of its own
// networks.
func (k Key) MayManage(target Key) error {
	if lacking := k.grantable().Ungrantable(target.Scopes); len(lacking) > 0 {
		// The message does not name the scopes: k may not be allowed to read target.
		return &DeniedError{Reason: "that key has scopes that yours lacks; " +
			"use a key that has them, or one with " + ScopeAdmin}
	}
	if !target.AllowedCIDRs.Within(k.GrantableCIDRs()) {
		return &DeniedError{Reason: "that key may be used from networks that yours may not be used from; " +
			"use a key that may, or one with " + ScopeAdmin}
	}
	return nil
}

// MayChange returns a *DeniedError if k may not make this change to target.
func (k Key) MayChange(target Key, c Change) error {
	if err := k.MayManage(target); err != nil {
		return err
	}
	if err := k.maySetLimits(target.Settings, target.Apply(c).Settings); err != nil {
		return err
	}
	if c.AllowedCIDRs != nil {
		if err := k.mayAllow(*c.AllowedCIDRs); err != nil {
			return err
		}
	}
	if c.Scopes == nil {
		return nil
	}
	return k.mayGrant(*c.Scopes)
}

// maySetLimits lets only admins set a rate limit or quota. Others may state what applies without it.
func (k Key) maySetLimits(without, with Settings) error {
	var field string
	switch {
	case k.Scopes.Has(ScopeAdmin):
		return nil
	case with.RateLimit != without.RateLimit:
		field = "rate_limit"
	case with.Quota != without.Quota:
		field = "quota"
	default:
		return nil
	}
	return &DeniedError{Reason: field + ": only a key with " + ScopeAdmin + " may set or change it; leave it out"}
}

// MayChangeOwners returns a *DeniedError if k may not change owners.
func (k Key) MayChangeOwners() error {
	if !k.Scopes.Has(ScopeAdmin) {
		return &DeniedError{Reason: "this needs a key with the scope " + ScopeAdmin}
	}
	return nil
}

// MayImport returns a *DeniedError if k may not import keys: whoever does chooses their secrets.
func (k Key) MayImport() error {
	if !k.Scopes.Has(ScopeAdmin) {
		return &DeniedError{Reason: "this needs a key with the scope " + ScopeAdmin}
	}
	return nil
}

// mayAllow lets a key that is restricted to networks allow only parts of them, unless it is an admin's.
func (k Key) mayAllow(networks CIDRs) error {
	if !networks.Within(k.GrantableCIDRs()) {
		return &DeniedError{Reason: fmt.Sprintf("allowed_cidrs: your key may only be used from %s, so it cannot allow other networks; "+
			"name parts of these, or use a key with %s", k.AllowedCIDRs, ScopeAdmin)}
	}
	return nil
}

func (k Key) mayGrant(scopes Scopes) error {
	if lacking := k.grantable().Ungrantable(scopes); len(lacking) > 0 {
		if k.Session == SessionLink && k.Scopes.Ungrantable(scopes) == nil {
			return &DeniedError{Reason: fmt.Sprintf("scopes: by an owner link no key gets %s; leave it out", lacking)}
		}
		return &DeniedError{Reason: fmt.Sprintf("scopes: your key lacks %s, so it cannot grant that; "+
			"leave it out, or use a key that has it", lacking)}
	}
	return nil
}

// MayChangeWebhooks returns a *DeniedError if k may not change webhooks.
func (k Key) MayChangeWebhooks() error { return k.MayChangeOwners() }
