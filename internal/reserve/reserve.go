// Package reserve lets several nodes use up one limit together: each node holds units of it in advance,
// so that most calls need not ask the source of the units.
package reserve

import (
	"context"
	"sync"
	"time"
)

// firstSweep is the smallest number of accounts at which idle ones are dropped.
const firstSweep = 1024

// Terms say how many units a node may hold in advance, and for how long.
type Terms struct {
	Valid   time.Duration // units granted now may be used for so long
	Horizon time.Duration // in advance, a node requests what it will use in this time
	Most    int           // units to hold in advance at most
	Pause   time.Duration // how long a node backs off after an error
}

// Rules belong to a kind of limit.
type Rules[L, S any] struct {
	Terms func(limit L, now time.Time) Terms
	// Wait returns how long a node backs off after it got fewer units than it requested.
	Wait func(limit L, state S) time.Duration
}

// Grant is the answer of a Source.
type Grant[S any] struct {
	Units int
	State S // of the limit afterwards
}

// Source takes units of a subject's limit, which all nodes share, as of now: as many as requested, or
// as many as are left.
type Source[K comparable, L, S any] func(ctx context.Context, subject K, limit L, now time.Time, units int) (Grant[S], error)

// Answer says whether a call may pass.
type Answer[S any] struct {
	Allowed bool
	Held    int           // units that the node still holds
	State   S             // of the limit, as of the last grant
	Age     time.Duration // of that grant
	Retry   time.Duration // until the node asks the Source again; 0 if it does not back off
	Until   Until         // when the units end that Take used
}

// Until is when units end.
type Until int64

// Table holds one node's units of many subjects. It is safe for concurrent use.
//
// For a subject that calls seldom, each call asks the Source. For one that calls often, the node
// requests units in advance, as many as it needed recently, and more before they run out: no call
// waits for that.
type Table[K, L comparable, S any] struct {
	rules  Rules[L, S]
	source Source[K, L, S]
	now    func() time.Time
	epoch  time.Time // times count from here, on the monotonic clock

	mu       sync.Mutex
	accounts map[K]*account[L, S]
	sweepAt  int // number of accounts at which idle ones are dropped
}

// New returns a Table that holds no units yet.
func New[K, L comparable, S any](rules Rules[L, S], source Source[K, L, S], now func() time.Time) *Table[K, L, S] {
	return &Table[K, L, S]{
		rules: rules, source: source, now: now, epoch: now(), accounts: make(map[K]*account[L, S]), sweepAt: firstSweep,
	}
}

// Take uses up units of a subject's limit for one call. It uses none if too few are left. The error is
// the Source's or ctx's.
func (t *Table[K, L, S]) Take(ctx context.Context, subject K, limit L, units int) (Answer[S], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, at := t.account(subject, limit), t.clock()
	for !a.take(at, units) {
		if at < a.pauseEnd {
			return a.answer(at, false), a.err
		}
		if a.asked == nil {
			t.ask(ctx, subject, a, units+a.waiting)
		}
		if err := t.wait(ctx, a, units); err != nil {
			return Answer[S]{}, err
		}
		at = t.clock()
	}
	if a.runsLow(at) {
		t.ask(ctx, subject, a, 0)
	}
	return a.answer(at, true), nil
}

// Return gives back units that Take took for a call that did not pass after all. They are lost if they
// have ended meanwhile: later ones belong to another period.
func (t *Table[K, L, S]) Return(subject K, limit L, units int, until Until) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := t.accounts[subject]; a != nil && a.limit == limit {
		a.giveBack(units, int64(until))
	}
}

// Held are units that a node holds in advance.
type Held[K, L, S any] struct {
	Subject K
	Limit   L
	State   S // as of the last grant
	Units   int
}

// Release gives up the units of subjects that made no call for the time idle. If idle is 0 it waits for
// requests in flight until ctx ends.
func (t *Table[K, L, S]) Release(ctx context.Context, idle time.Duration) (all []Held[K, L, S]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.clock()
	for subject, a := range t.accounts {
		if at-a.takenAt < idle.Microseconds() {
			continue
		}
		if a.asked != nil && idle == 0 {
			_ = t.wait(ctx, a, 0) // if it fails, the units are lost
		}
		if a.asked != nil || a.waiting > 0 {
			continue
		}
		if units := a.left(at); units > 0 {
			all = append(all, Held[K, L, S]{subject, a.limit, a.state, units})
		}
		delete(t.accounts, subject)
	}
	return all
}

// Len returns how many subjects have an account.
func (t *Table[K, L, S]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.accounts)
}

func (t *Table[K, L, S]) clock() int64 { return t.now().Sub(t.epoch).Microseconds() }

// account returns the subject's account. A change of the limit replaces the account.
func (t *Table[K, L, S]) account(subject K, limit L) *account[L, S] {
	a := t.accounts[subject]
	if a != nil && a.limit == limit {
		return a
	}
	if len(t.accounts) >= t.sweepAt {
		at := t.clock()
		for other, a := range t.accounts {
			if a.isIdle(at) {
				delete(t.accounts, other)
			}
		}
		t.sweepAt = max(2*len(t.accounts), firstSweep) // spreads the cost of a sweep over as many additions
	}
	a = &account[L, S]{limit: limit}
	t.accounts[subject] = a
	return a
}

// ask requests the units needed now, and those missing from the advance.
func (t *Table[K, L, S]) ask(ctx context.Context, subject K, a *account[L, S], needed int) {
	now := t.now()
	at := now.Sub(t.epoch).Microseconds()
	a.terms = t.rules.Terms(a.limit, now)
	a.advance = a.foresee(at)
	units := needed + a.advance - a.left(at)
	if units <= 0 {
		return
	}
	a.used, a.askedAt, a.asked = 0, at, make(chan struct{})
	ctx = context.WithoutCancel(ctx) // other calls wait for the answer too
	go func() {
		grant, err := t.source(ctx, subject, a.limit, now, units)
		t.mu.Lock()
		defer t.mu.Unlock()
		at := t.clock()
		a.hear(grant, err, at)
		if err == nil && grant.Units < units {
			a.pauseEnd = at + t.rules.Wait(a.limit, grant.State).Microseconds()
		}
	}()
}

// wait waits for the Source's answer.
func (t *Table[K, L, S]) wait(ctx context.Context, a *account[L, S], units int) error {
	asked := a.asked
	a.waiting += units
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		a.waiting -= units
	}()
	select {
	case <-asked:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
