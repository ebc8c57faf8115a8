package verify

import (
	"net/netip"
	"slices"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	"apikeyd/internal/quota"
	"apikeyd/internal/ratelimit"
	"apikeyd/store"
)

// Code is the outcome of a verification.
type Code string

// The codes, in their order of precedence: if several apply, the first is returned.
const (
	NotFound          Code = "NOT_FOUND" // malformed, unknown, or rotated out
	Revoked           Code = "REVOKED"
	Disabled          Code = "DISABLED" // suspended, or its owner is
	Expired           Code = "EXPIRED"
	AddressNotAllowed Code = "ADDRESS_NOT_ALLOWED" // or unknown
	InsufficientScope Code = "INSUFFICIENT_SCOPE"
	QuotaExceeded     Code = "QUOTA_EXCEEDED"
	RateLimited       Code = "RATE_LIMITED"
	Valid             Code = "VALID"
)

// Result is a decision.
type Result struct {
	Code  Code
	At    time.Time       // of the decision
	Key   *apikey.Key     // the entry's: read-only, without metadata; nil if Code is NotFound
	Entry *keycache.Entry // nil if Code is NotFound
	Hash  apikey.Hash     // of the secret; set unless Code is NotFound

	Owner *apikey.Owner // the key's, if it has settings; read-only

	// Admit sets these if the key or its owner has such a limit and Code says that the limits before it were kept.
	Quota, OwnerQuota         quota.State
	RateLimit, OwnerRateLimit ratelimit.State
}

// LeastQuota returns the state of the key's quota or its owner's: the one that refused the call, else the one
// with fewer units left.
func (r *Result) LeastQuota() quota.State {
	own, owner := r.Quota, r.OwnerQuota
	if owner == (quota.State{}) || own != (quota.State{}) && owner.Allowed && own.Remaining <= owner.Remaining {
		return own
	}
	return owner
}

// RetryAfter returns how long to wait after QuotaExceeded or RateLimited until a call may pass.
func (r *Result) RetryAfter() time.Duration {
	if r.Code == QuotaExceeded {
		return r.LeastQuota().ResetsAt.Sub(r.At)
	}
	return max(r.RateLimit.RetryAfter, r.OwnerRateLimit.RetryAfter)
}

// outcomeOf returns a code's index in store.Outcomes.
func outcomeOf(code Code) int { return slices.Index(store.Outcomes[:], string(code)) }

// judge decides about a key whose secret was presented.
func judge(key *apikey.Key, owner *apikey.Owner, now time.Time, call Call) Code {
	switch {
	case key.IsRevoked():
		return Revoked
	case key.Suspended, owner != nil && owner.Suspended:
		return Disabled
	case key.IsExpired(now):
		return Expired
	case !allowed(call.From, key.AllowedCIDRs), owner != nil && !allowed(call.From, owner.AllowedCIDRs):
		return AddressNotAllowed
	}
	for _, scope := range call.Scopes {
		if !key.Scopes.Has(scope) {
			return InsufficientScope
		}
	}
	return Valid
}

// allowed reports whether a list of networks lets an address pass. An empty list lets every address pass,
// even an unknown one.
func allowed(from netip.Addr, networks apikey.CIDRs) bool {
	return len(networks) == 0 || networks.Contain(from)
}
