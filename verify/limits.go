package verify

import (
	"context"
	"fmt"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/quota"
	"apikeyd/internal/ratelimit"
	"apikeyd/store"
)

// use counts a call against the quotas and rate limits of its key and the key's owner. A call that is refused
// uses up none of them.
func (v *Verifier) use(ctx context.Context, r *Result, cost int) (err error) {
	var owner apikey.Owner
	if r.Owner != nil {
		owner = *r.Owner
	}
	one, all := store.Subject{Key: r.Key.ID}, store.Subject{Owner: owner.Name}
	switch {
	case !v.takeUnits(ctx, one, r.Key.Quota, cost, &r.Quota, &err),
		!v.takeUnits(ctx, all, owner.Quota, cost, &r.OwnerQuota, &err):
		r.Code = QuotaExceeded
	case !v.takeCall(ctx, one, r.Key.RateLimit, r.At, &r.RateLimit, &err),
		!v.takeCall(ctx, all, owner.RateLimit, r.At, &r.OwnerRateLimit, &err):
		r.Code = RateLimited
	default:
		return nil
	}
	if r.Quota.Allowed {
		r.Quota = v.quotas.Return(one, r.Key.Quota, cost, r.Quota)
	}
	if r.OwnerQuota.Allowed {
		r.OwnerQuota = v.quotas.Return(all, owner.Quota, cost, r.OwnerQuota)
	}
	if r.RateLimit.Allowed {
		r.RateLimit = v.returnCall(one, r.Key.RateLimit, r.RateLimit)
	}
	return err
}

// takeUnits counts a call against a quota, if there is one, and reports whether it may pass.
func (v *Verifier) takeUnits(
	ctx context.Context, subject store.Subject, limit apikey.Quota, cost int, state *quota.State, err *error,
) bool {
	if v.quotas == nil || limit.IsNone() {
		return true
	}
	if *state, *err = v.quotas.Take(ctx, subject, limit, cost); *err != nil {
		*err = fmt.Errorf("counting a call against the quota: %w", *err)
	}
	return state.Allowed
}

// takeCall counts a call against a rate limit, if there is one, and reports whether it may pass.
func (v *Verifier) takeCall(
	ctx context.Context, subject store.Subject, limit apikey.RateLimit, now time.Time, state *ratelimit.State, err *error,
) bool {
	switch {
	case limit.IsNone():
		return true
	case v.shared == nil:
		*state = v.limits.Take(subject, limit, now)
	default:
		if *state, *err = v.shared.Take(ctx, subject, limit); *err != nil {
			*err = fmt.Errorf("counting a call against the rate limit: %w", *err)
		}
	}
	return state.Allowed
}

func (v *Verifier) returnCall(subject store.Subject, limit apikey.RateLimit, counted ratelimit.State) ratelimit.State {
	if v.shared == nil {
		return v.limits.Return(subject, limit, counted)
	}
	return v.shared.Return(subject, limit, counted)
}
