// Package verify decides whether a secret is good, and for what. Every caller that
// must trust a key asks here: the API's own authentication now, and the operations
// that protect somebody else's API.
package verify

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// Code is the outcome of a verification.
type Code string

// The codes, in their order of precedence: where several apply, the first is told.
const (
	NotFound          Code = "NOT_FOUND" // malformed, unknown, or not the current secret
	Revoked           Code = "REVOKED"
	Expired           Code = "EXPIRED"
	InsufficientScope Code = "INSUFFICIENT_SCOPE"
	Valid             Code = "VALID"
)

// Result is a decision. Key is set unless Code is NotFound.
type Result struct {
	Code Code
	Key  apikey.Key
}

// Verifier verifies secrets and remembers when keys were used. It is safe for
// concurrent use.
type Verifier struct {
	store store.Store
	log   *slog.Logger
	now   func() time.Time
	uses  uses
}

// New returns a Verifier over s. The caller runs Run beside it.
func New(s store.Store, log *slog.Logger, now func() time.Time) *Verifier {
	return &Verifier{store: s, log: log, now: now}
}

// Verify decides whether secret is good now and holds all the scopes wanted. Any
// string is accepted. A Valid result counts as a use of the key. The error is the
// store's, when it cannot be asked.
func (v *Verifier) Verify(ctx context.Context, secret string, want ...string) (Result, error) {
	parsed, err := apikey.ParseSecret(secret)
	if err != nil {
		return Result{Code: NotFound}, nil
	}
	key, err := v.store.Key(ctx, store.ByID(parsed.ID()))
	if errors.Is(err, store.ErrNotFound) {
		return Result{Code: NotFound}, nil
	}
	if err != nil {
		return Result{}, err
	}
	if !key.SecretHash.Equal(parsed.Hash()) {
		return Result{Code: NotFound}, nil
	}
	now := v.now()
	result := Result{Code: decide(key, now, want), Key: key}
	if result.Code == Valid {
		v.uses.record(key.ID, now)
	}
	return result, nil
}

// decide judges a key whose secret was right.
func decide(key apikey.Key, now time.Time, want apikey.Scopes) Code {
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
