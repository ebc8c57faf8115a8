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
	"apikeyd/internal/ratelimit"
	"apikeyd/internal/usage"
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
	At    time.Time   // when it was made
	Key   *apikey.Key // without metadata, not to be changed; nil if Code is NotFound
	Hash  apikey.Hash // of the secret; set unless Code is NotFound
	entry *entry
	Quota ratelimit.Quota // set by Admit if Code is Valid or RateLimited and the key has a limit
}

// DefaultCacheSize is how many keys a Verifier remembers if it is not told.
const DefaultCacheSize = 100_000

// Options change how a Verifier works. The zero Options are ready to use.
type Options struct {
	// CacheSize is how many keys, and how many refused secrets, are remembered. 0 is
	// DefaultCacheSize; negative remembers nothing.
	CacheSize int
	Now       func() time.Time // the clock, that of the store; nil is time.Now

	// Budget counts against rate limits for all nodes; nil counts in this process alone.
	Budget store.Budget
}

// Whole returns the key as the store has it, with its metadata and its last use. The code
// must not be NotFound.
func (r Result) Whole() apikey.Key { return r.entry.current() }

// Verifier verifies secrets and remembers keys, when they were used, and how often. It is safe for
// concurrent use.
type Verifier struct {
	store store.Store
	log   *slog.Logger
	now   func() time.Time
	cache *cache
	uses  uses

	decisions decisions

	// Only keys that have a limit, and whose secret was shown, get into it.
	limits *ratelimit.Table[apikey.ID]
	shared *ratelimit.Shared[apikey.ID] // in place of limits, if there is a Budget
}

// New returns a Verifier over s, and has s tell it of every change. The caller runs Run
// beside it.
func New(s store.Store, log *slog.Logger, o Options) *Verifier {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CacheSize == 0 {
		o.CacheSize = DefaultCacheSize
	}
	v := &Verifier{
		store: s, log: log, now: o.Now, cache: newCache(max(o.CacheSize, 0), o.Now()),
		limits: ratelimit.New[apikey.ID](0),
	}
	if o.Budget != nil {
		v.shared = ratelimit.NewShared(source(o.Budget), o.Now)
	}
	v.uses.many = make(chan struct{}, 1)
	v.decisions.meter = usage.NewMeter(o.Now())
	s.Watch(v.cache)
	return v
}

// Verify decides whether secret is good now and holds all the scopes wanted. Any
// string is accepted. A Valid result counts as a use of the key. The error is the
// store's, when it cannot be asked.
func (v *Verifier) Verify(ctx context.Context, secret string, want ...string) (Result, error) {
	return v.decide(ctx, secret, want, false)
}

// Admit is Verify for a call to somebody else's API: what is Valid also counts against
// the key's rate limit, and is RateLimited if that is used up.
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
	found, refused := v.cache.find(id, hash, now)
	if found == nil && !refused {
		if found, err = v.look(ctx, id, hash, now); err != nil {
			return Result{}, err
		}
	}
	if found == nil {
		return r, nil
	}
	r.At, r.Key, r.Hash, r.entry = now, &found.key, hash, found
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
		v.uses.record(found, now)
	}
	return r, nil
}

// count counts a call against its key's limit.
func (v *Verifier) count(ctx context.Context, id apikey.ID, limit apikey.RateLimit, now time.Time) (ratelimit.Quota, error) {
	if v.shared == nil {
		return v.limits.Take(id, limit, now), nil
	}
	return v.shared.Take(ctx, id, limit)
}

// source makes a store's budget what a ratelimit.Shared asks.
func source(b store.Budget) ratelimit.Source[apikey.ID] {
	return func(ctx context.Context, id apikey.ID, limit apikey.RateLimit, calls int) (ratelimit.Grant, error) {
		grant, err := b.TakeCalls(ctx, id, limit, calls)
		return ratelimit.Grant(grant), err
	}
}

// look asks the store, and returns nil if no key accepts a secret with this hash.
func (v *Verifier) look(ctx context.Context, id apikey.ID, hash apikey.Hash, now time.Time) (*entry, error) {
	v.cache.shard(id).misses.Add(1)
	changes := v.cache.begin(id)
	key, err := v.store.Key(ctx, store.ByID(id))
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return nil, err
	case key.Accepts(hash, now):
		return v.cache.keep(key, changes), nil
	}
	v.cache.refuse(id, hash, changes)
	return nil, nil
}

// judge judges a key whose secret was right.
func judge(key *apikey.Key, now time.Time, want apikey.Scopes) Code {
	switch key.Status(now) {
	case apikey.StatusRevoked:
		return Revoked
	case apikey.StatusExpired:
		return Expired
	}
	for _, scope := range want {
		if !key.Scopes.Has(scope) {
			return InsufficientScope
		}
	}
	return Valid
}
