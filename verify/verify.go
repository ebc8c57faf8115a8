// Package verify decides whether a secret is valid, and for which scopes. The API's own authentication
// asks it, and so do the operations that protect an integrator's API.
package verify

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/keycache"
	"apikeyd/internal/quota"
	"apikeyd/internal/ratelimit"
	"apikeyd/store"
)

// Budget is a store.Budget: it counts the calls of keys and owners that have a rate limit, for all nodes together.
type Budget interface {
	TakeCalls(ctx context.Context, subject store.Subject, limit apikey.RateLimit, calls int) (store.Grant, error)
}

// Options change how a Verifier works. The zero Options are ready to use.
type Options struct {
	// Budget, if not nil, counts calls for all nodes together.
	Budget Budget

	// Quotas, if not nil, counts the units of keys that have a quota. Without it nothing is counted, as for a
	// command beside a server.
	Quotas store.Quotas

	// Pepper is the key of the foreign secrets of apikey.SchemeHMAC. Without it they are NotFound.
	Pepper []byte

	// Reporter, if not nil, reports uses of keys from outside their observed networks, and quotas that are used up.
	Reporter Reporter
}

// Call is a call with a key, to this API or an integrator's.
type Call struct {
	Scopes apikey.Scopes // that the key must have
	Cost   int           // in units of the key's quota, from 0; only Admit counts it
	From   netip.Addr    // the client's address; zero if unknown, which keys and owners restricted to networks do not accept
}

// Verifier verifies secrets and counts how often. It is safe for concurrent use.
type Verifier struct {
	Keys *keycache.Cache // the keys it decides by

	log *slog.Logger
	now func() time.Time

	// It holds only keys and owners that have a limit, of keys whose secret was presented.
	limits *ratelimit.Table[store.Subject]
	shared *ratelimit.Shared[store.Subject] // instead of limits, if there is a Budget
	quotas *quota.Table                     // nil if nothing counts them

	reports *reports
	pepper  []byte
}

// New returns a Verifier that uses keys and their clock. The caller runs Run in the background.
func New(keys *keycache.Cache, log *slog.Logger, o Options) *Verifier {
	v := &Verifier{
		Keys: keys, log: log, now: keys.Now, limits: ratelimit.New[store.Subject](0), pepper: o.Pepper,
		reports: newReports(o.Reporter, log),
	}
	if o.Budget != nil {
		v.shared = ratelimit.NewShared(source(o.Budget), keys.Now)
	}
	if o.Quotas != nil {
		v.quotas = quota.New(o.Quotas, keys.Now)
	}
	return v
}

// Run flushes uses and counts of decisions every keycache.FlushInterval until ctx ends. The caller
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
		if err := v.returnUnits(ctx, keycache.FlushInterval); err != nil && ctx.Err() == nil {
			v.log.Warn("unused units of quotas are lost until the next period: the store cannot be written", "error", err)
		}
		if err := v.Keys.Flush(ctx); err != nil && ctx.Err() == nil {
			v.log.Warn("last-used times and usage counts wait: the store cannot be written", "error", err)
			many = nil // retry at the next tick
		}
	}
}

// Close gives back to the store what this node holds of quotas, and waits until its reports are written. It is
// called after the last verification.
func (v *Verifier) Close(ctx context.Context) error {
	v.reports.writer.Wait()
	return v.returnUnits(ctx, 0)
}

// OutsideUses returns how many uses of keys came from outside their observed networks.
func (v *Verifier) OutsideUses() uint64 { return v.reports.outside.Load() }

func (v *Verifier) returnUnits(ctx context.Context, idle time.Duration) error {
	if v.quotas == nil {
		return nil
	}
	return v.quotas.Flush(ctx, idle)
}

// KeyQuota returns the state of a key's quota.
func (v *Verifier) KeyQuota(ctx context.Context, key apikey.Key) (quota.State, error) {
	return v.quotaOf(ctx, store.Subject{Key: key.ID}, key.Quota)
}

// OwnerQuota returns the state of an owner's quota.
func (v *Verifier) OwnerQuota(ctx context.Context, owner apikey.Owner) (quota.State, error) {
	return v.quotaOf(ctx, store.Subject{Owner: owner.Name}, owner.Quota)
}

func (v *Verifier) quotaOf(ctx context.Context, subject store.Subject, limit apikey.Quota) (quota.State, error) {
	if v.quotas == nil || limit.IsNone() {
		return quota.State{}, nil
	}
	return v.quotas.Take(ctx, subject, limit, 0)
}

// Limited returns how many keys and owners have calls counted against their rate limit now.
func (v *Verifier) Limited() int {
	if v.shared != nil {
		return v.shared.Len()
	}
	return v.limits.Len()
}

// QuotaKeys returns how many keys and owners have calls counted against their quota now.
func (v *Verifier) QuotaKeys() int {
	if v.quotas == nil {
		return 0
	}
	return v.quotas.Len()
}

// purpose is what a decision is for.
type purpose int

const (
	authentication purpose = iota // of a caller of this API
	information                   // of an integrator's API
	admission                     // to an integrator's API
)

// Verify decides whether secret is valid now for a call to this API. It accepts any string. A Valid result counts as a
// use of the key. The error is the store's.
func (v *Verifier) Verify(ctx context.Context, secret string, call Call) (Result, error) {
	return v.decide(ctx, secret, call, authentication)
}

// Look is Verify for an integrator's API: every result counts in the usage.
func (v *Verifier) Look(ctx context.Context, secret string, call Call) (Result, error) {
	return v.decide(ctx, secret, call, information)
}

// Admit is Look for a call to an integrator's API: a Valid result also counts against the key's quota
// and rate limit. It is QuotaExceeded or RateLimited if one of them is used up.
func (v *Verifier) Admit(ctx context.Context, secret string, call Call) (Result, error) {
	return v.decide(ctx, secret, call, admission)
}

func (v *Verifier) decide(ctx context.Context, secret string, call Call, why purpose) (r Result, err error) {
	r.Code = NotFound
	now := v.now()
	id, hash, ok := apikey.Identify(secret)
	if !ok && why != authentication { // our own API accepts none
		id, hash, ok, err = v.Keys.Foreign(ctx, secret, v.pepper, now)
	}
	if err != nil {
		return Result{}, err
	}
	if !ok {
		v.unknown(why)
		return r, nil
	}
	found, err := v.Keys.Find(ctx, id, hash, now)
	if err != nil {
		return Result{}, err
	}
	if found == nil {
		v.unknown(why)
		return r, nil
	}
	if r.Owner, err = v.Keys.Owner(ctx, found.Key.Owner, now); err != nil {
		return Result{}, err
	}
	r.At, r.Hash, r.Entry = now, hash, found.Of(r.Owner)
	r.Key = &r.Entry.Key
	r.Code = judge(r.Key, r.Owner, now, call)
	if r.Code == Valid && why == admission {
		if err := v.use(ctx, &r, call.Cost); err != nil {
			return Result{}, err
		}
		v.reports.counted(store.Subject{Key: id}, r.Quota, now)
		v.reports.counted(store.Subject{Owner: r.Key.Owner}, r.OwnerQuota, now)
	}
	used := r.Code == Valid
	if used || why != authentication {
		v.Keys.Record(r.Key, &keycache.Decision{
			At: now, Used: used, From: call.From, Scopes: call.Scopes, Counted: why != authentication, Outcome: outcomeOf(r.Code),
		})
	}
	if used && !allowed(call.From, r.Key.ObserveCIDRs) {
		v.reports.usedOutside(id, call.From, now)
	}
	return r, nil
}

// Identify returns the id of the key that a secret belongs to if it works at all, whether its form is ours or
// foreign, and the secret's hash. The error is the store's.
func (v *Verifier) Identify(ctx context.Context, secret string) (id apikey.ID, hash apikey.Hash, ok bool, err error) {
	if id, hash, ok = apikey.Identify(secret); ok {
		return id, hash, true, nil
	}
	return v.Keys.Foreign(ctx, secret, v.pepper, v.now())
}

// unknown counts a secret that no key has.
func (v *Verifier) unknown(why purpose) {
	if why != authentication {
		v.Keys.RecordUnknown()
	}
}

// source adapts a Budget to ratelimit.Shared.
func source(b Budget) ratelimit.Source[store.Subject] {
	return func(ctx context.Context, subject store.Subject, limit apikey.RateLimit, calls int) (ratelimit.Grant, error) {
		grant, err := b.TakeCalls(ctx, subject, limit, calls)
		return ratelimit.Grant(grant), err
	}
}
