// Package verify decides whether a secret is valid, and for which scopes. The API's own authentication
// asks it, and so do the operations that protect an integrator's API.
package verify

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	"apikeyd/internal/ratelimit"
	"apikeyd/internal/usage"
	"apikeyd/store"
)

// Code is the outcome of a verification.
type Code string

// The codes, in their order of precedence: if several apply, the first is returned.
const (
	NotFound          Code = "NOT_FOUND" // malformed, unknown, or rotated out
	Revoked           Code = "REVOKED"
	Disabled          Code = "DISABLED" // suspended
	Expired           Code = "EXPIRED"
	InsufficientScope Code = "INSUFFICIENT_SCOPE"
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
	Quota ratelimit.Quota // set by Admit if Code is Valid or RateLimited and the key has a limit
}

// Budget is a store.Budget: it counts the calls of keys that have a rate limit, for all nodes together.
type Budget interface {
	TakeCalls(ctx context.Context, id apikey.ID, limit apikey.RateLimit, calls int) (store.Grant, error)
}

// Options change how a Verifier works. The zero Options are ready to use.
type Options struct {
	// Budget, if not nil, counts calls for all nodes together.
	Budget Budget
}

// Verifier verifies secrets and counts how often. It is safe for concurrent use.
type Verifier struct {
	Keys *keycache.Cache // the keys it decides by

	log       *slog.Logger
	now       func() time.Time
	decisions decisions

	// It holds only keys that have a limit and whose secret was presented.
	limits *ratelimit.Table[apikey.ID]
	shared *ratelimit.Shared[apikey.ID] // instead of limits, if there is a Budget
}

// New returns a Verifier that uses keys and their clock. The caller runs Run in the background.
func New(keys *keycache.Cache, log *slog.Logger, o Options) *Verifier {
	v := &Verifier{
		Keys: keys, log: log, now: keys.Now, limits: ratelimit.New[apikey.ID](0),
		decisions: decisions{counts: make(map[apikey.ID]decided), meter: usage.NewMeter(keys.Now())},
	}
	if o.Budget != nil {
		v.shared = ratelimit.NewShared(source(o.Budget), keys.Now)
	}
	return v
}

// Run flushes last uses and meters decisions every keycache.FlushInterval until ctx ends. The caller
// must flush once more after the last verification.
func (v *Verifier) Run(ctx context.Context) {
	tick := time.NewTicker(keycache.FlushInterval)
	defer tick.Stop()
	many := v.Keys.ManyUses()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-many:
		}
		many = v.Keys.ManyUses()
		v.meter()
		if err := v.Keys.Flush(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("last-used times wait: the store cannot be written", "error", err)
			many = nil // retry at the next tick
		}
	}
}

// Limited returns how many keys have calls counted against their rate limit now.
func (v *Verifier) Limited() int {
	if v.shared != nil {
		return v.shared.Len()
	}
	return v.limits.Len()
}

// Verify decides whether secret is valid now and has all the scopes wanted. It accepts any string. A
// Valid result counts as a use of the key. The error is the store's.
func (v *Verifier) Verify(ctx context.Context, secret string, want ...string) (Result, error) {
	return v.decide(ctx, secret, want, false)
}

// Admit is Verify for a call to an integrator's API: a Valid result also counts against the key's rate
// limit, and is RateLimited if the limit is used up.
func (v *Verifier) Admit(ctx context.Context, secret string, want ...string) (Result, error) {
	return v.decide(ctx, secret, want, true)
}

func (v *Verifier) decide(ctx context.Context, secret string, want apikey.Scopes, limited bool) (r Result, err error) {
	r.Code = NotFound
	id, hash, ok := apikey.Identify(secret)
	if !ok {
		return r, nil
	}
	now := v.now()
	found, err := v.Keys.Find(ctx, id, hash, now)
	if err != nil {
		return Result{}, err
	}
	if found == nil {
		return r, nil
	}
	r.At, r.Key, r.Hash, r.Entry = now, &found.Key, hash, found
	r.Code = judge(r.Key, now, want)
	if r.Code == Valid && limited && !r.Key.RateLimit.IsNone() {
		if r.Quota, err = v.count(ctx, id, r.Key.RateLimit, now); err != nil {
			return Result{}, err
		}
		if !r.Quota.Allowed {
			r.Code = RateLimited
		}
	}
	if r.Code == Valid {
		v.Keys.Used(id, now)
	}
	return r, nil
}

// count counts a call against its key's limit.
func (v *Verifier) count(ctx context.Context, id apikey.ID, limit apikey.RateLimit, now time.Time) (ratelimit.Quota, error) {
	if v.shared == nil {
		return v.limits.Take(id, limit, now), nil
	}
	quota, err := v.shared.Take(ctx, id, limit)
	if err != nil {
		return quota, fmt.Errorf("counting a call against the rate limit: %w", err)
	}
	return quota, nil
}

// source adapts a Budget to ratelimit.Shared.
func source(b Budget) ratelimit.Source[apikey.ID] {
	return func(ctx context.Context, id apikey.ID, limit apikey.RateLimit, calls int) (ratelimit.Grant, error) {
		grant, err := b.TakeCalls(ctx, id, limit, calls)
		return ratelimit.Grant(grant), err
	}
}

// judge decides about a key whose secret was presented.
func judge(key *apikey.Key, now time.Time, want apikey.Scopes) Code {
	switch {
	case key.IsRevoked():
		return Revoked
	case key.Suspended:
		return Disabled
	case key.Status(now) == apikey.StatusExpired:
		return Expired
	}
	for _, scope := range want {
		if !key.Scopes.Has(scope) {
			return InsufficientScope
		}
	}
	return Valid
}
