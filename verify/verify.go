// Package verify decides whether a secret is good, and for what. Every caller that
// must trust a key asks here: the API's own authentication, and the operations that
// protect somebody else's API.
package verify

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"apikeyd/apikey"
	"apikeyd/ratelimit"
	"apikeyd/store"
)

// Code is the outcome of a verification.
type Code string

// The codes, in their order of precedence: where several apply, the first is told.
const (
	NotFound          Code = "NOT_FOUND" // malformed, unknown, or rotated out
	Revoked           Code = "REVOKED"
	Expired           Code = "EXPIRED"
	InsufficientScope Code = "INSUFFICIENT_SCOPE"
	RateLimited       Code = "RATE_LIMITED"
	Valid             Code = "VALID"
)

// Result is a decision.
type Result struct {
	Code  Code
	Key   apikey.Key      // set unless Code is NotFound
	Hash  apikey.Hash     // of the secret; set unless Code is NotFound
	Quota ratelimit.Quota // set by Admit if Code is Valid or RateLimited and the key has a limit
}

// Verifier verifies secrets and remembers when keys were used. It is safe for
// concurrent use.
type Verifier struct {
	store store.Store
	log   *slog.Logger
	now   func() time.Time
	uses  uses

	// Only keys that have a limit, and whose secret was shown, get into it.
	limits *ratelimit.Table[apikey.ID]
}

// New returns a Verifier over s. The caller runs Run beside it.
func New(s store.Store, log *slog.Logger, now func() time.Time) *Verifier {
	return &Verifier{store: s, log: log, now: now, limits: ratelimit.New[apikey.ID](0)}
}

// Verify decides whether secret is good now and holds all the scopes wanted. Any
// string is accepted. A Valid result counts as a use of the key. The error is the
// store's, when it cannot be asked.
func (v *Verifier) Verify(ctx context.Context, secret string, want ...string) (Result, error) {
	now := v.now()
	result, err := v.decide(ctx, secret, want, now)
	if result.Code == Valid {
		v.uses.record(result.Key.ID, now)
	}
	return result, err
}

// Admit is Verify for a call to somebody else's API: what is Valid also counts against
// the key's rate limit, and is RateLimited if that is used up.
func (v *Verifier) Admit(ctx context.Context, secret string, want ...string) (Result, error) {
	now := v.now()
	result, err := v.decide(ctx, secret, want, now)
	if result.Code != Valid {
		return result, err
	}
	if limit := result.Key.RateLimit; !limit.IsNone() {
		if result.Quota = v.limits.Take(result.Key.ID, limit, now); !result.Quota.Allowed {
			result.Code = RateLimited
			return result, nil
		}
	}
	v.uses.record(result.Key.ID, now)
	return result, nil
}

func (v *Verifier) decide(ctx context.Context, secret string, want apikey.Scopes, now time.Time) (Result, error) {
	parsed, err := apikey.ParseSecret(secret)
	if err != nil {
		return Result{Code: NotFound}, nil
	}
	hash := parsed.Hash()
	key, err := v.store.Key(ctx, store.ByID(parsed.ID()))
	if errors.Is(err, store.ErrNotFound) {
		return Result{Code: NotFound}, nil
	}
	if err != nil {
		return Result{}, err
	}
	if !key.Accepts(hash, now) {
		return Result{Code: NotFound}, nil
	}
	return Result{Code: judge(key, now, want), Key: key, Hash: hash}, nil
}

// judge judges a key whose secret was right.
func judge(key apikey.Key, now time.Time, want apikey.Scopes) Code {
	switch key.Status(now) {
	case apikey.StatusRevoked:
		return Revoked
	case apikey.StatusExpired:
		return Expired
	}
	if len(key.Scopes.Missing(want)) > 0 {
		return InsufficientScope
	}
	return Valid
}
