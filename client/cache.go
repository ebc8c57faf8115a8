package client

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxAnswers bounds how many answers are remembered, and firstSweep is how many are no
	// burden.
	maxAnswers = 10_000
	firstSweep = 256
)

// question is what was asked, without the secret.
type question struct {
	secret [sha256.Size]byte
	scopes string
}

// answers remembers good keys for a while, and has identical questions that are asked at
// once asked once. It is safe for concurrent use.
type answers struct {
	keepFor time.Duration
	timeout time.Duration // of a question
	verify  func(ctx context.Context, secret string, scopes ...string) (Verification, error)
	now     func() time.Time

	mu      sync.Mutex
	known   map[question]known
	flights map[question]*flight
	sweepAt int // how many answers there may be before outdated ones are looked for
}

// known is a good key, as it was when the service was asked. One that has a rate limit
// is known only to be asked about alone: every call must be counted.
type known struct {
	key   Key
	asked time.Time
}

// usable reports whether the key may be taken for good without asking. A clock that was
// set, or a machine that slept, must not prolong that.
func (k known) usable(now time.Time, keepFor time.Duration) bool {
	for _, end := range []time.Time{k.key.ExpiresAt, k.key.GraceEndsAt} {
		if !end.IsZero() && !now.Before(end) {
			return false
		}
	}
	byMonotonic, byWall := now.Sub(k.asked), now.Round(0).Sub(k.asked.Round(0))
	return byMonotonic < keepFor && byWall < keepFor && byWall >= 0
}

func (k known) limited() bool { return k.key.RateLimit != RateLimit{} }

// flight is a question that is being asked. What it found may be read once done is
// closed.
type flight struct {
	done         chan struct{}
	asked        time.Time
	verification Verification
	err          error
}

// shared reports whether what a flight found is also for those who joined it: no refusal,
// which may have been lifted before they came, and nothing that must be counted or is
// too old.
func (f *flight) shared(now time.Time, keepFor time.Duration) bool {
	k := known{f.verification.Key, f.asked}
	return f.err != nil || f.verification.Valid() && !k.limited() && k.usable(now, keepFor)
}

func newAnswers(
	keepFor, timeout time.Duration, verify func(context.Context, string, ...string) (Verification, error),
) *answers {
	return &answers{
		keepFor: keepFor, timeout: timeout, verify: verify, now: time.Now,
		known: make(map[question]known), flights: make(map[question]*flight), sweepAt: firstSweep,
	}
}

// ask returns what is known, or joins who is asking, or asks.
func (a *answers) ask(ctx context.Context, secret string, scopes []string) (Verification, error) {
	q := question{sha256.Sum256([]byte(secret)), strings.Join(scopes, " ")}
	var f *flight
	joined := false
	a.mu.Lock()
	found, ok := a.known[q]
	if ok = ok && found.usable(a.now(), a.keepFor); !ok {
		f, joined = a.board(ctx, q, secret, scopes)
	}
	a.mu.Unlock()
	switch {
	case ok && found.limited():
		return a.verify(ctx, secret, scopes...)
	case ok:
		return Verification{Code: VerifyValid, Key: found.key.clone()}, nil
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return Verification{}, fmt.Errorf("apikeyd: no answer: %w", ctx.Err())
	}
	if joined && !f.shared(a.now(), a.keepFor) {
		return a.verify(ctx, secret, scopes...)
	}
	v := f.verification
	v.Key = v.Key.clone()
	return v, f.err
}

// board joins a flight, or begins one. The caller holds the lock.
func (a *answers) board(ctx context.Context, q question, secret string, scopes []string) (f *flight, joined bool) {
	if f, joined = a.flights[q]; joined {
		return f, true
	}
	f = &flight{done: make(chan struct{}), asked: a.now()}
	a.flights[q] = f
	// It flies on if who began it hangs up: others may have joined.
	go a.fly(context.WithoutCancel(ctx), q, f, secret, scopes)
	return f, false
}

func (a *answers) fly(ctx context.Context, q question, f *flight, secret string, scopes []string) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	f.verification, f.err = a.verify(ctx, secret, scopes...)
	a.mu.Lock()
	defer a.mu.Unlock()
	defer close(f.done)
	delete(a.flights, q)
	if f.err == nil && f.verification.Valid() {
		a.remember(q, known{f.verification.Key, f.asked})
	}
}

// remember makes room first. Only good keys get in, so strangers cannot fill it.
func (a *answers) remember(q question, k known) {
	if len(a.known) >= a.sweepAt {
		now := a.now()
		maps.DeleteFunc(a.known, func(_ question, k known) bool { return !k.usable(now, a.keepFor) })
		// Twice what is left: the cost of looking is spread over as many additions.
		a.sweepAt = max(2*len(a.known), firstSweep)
	}
	for other := range a.known {
		if len(a.known) < maxAnswers {
			break
		}
		delete(a.known, other)
	}
	a.known[q] = k
}

// clone shares nothing with k that a handler could change.
func (k Key) clone() Key {
	k.Scopes = slices.Clone(k.Scopes)
	k.Metadata = maps.Clone(k.Metadata)
	return k
}
