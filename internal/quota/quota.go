// Package quota counts what calls use of quotas, for all nodes together: never more than a quota has.
package quota

import (
	"context"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/reserve"
	"apikeyd/store"
)

const (
	// share is a hundredth: a node may hold a hundredth of the limit in advance.
	share = 100
	// horizon is the time for which it does.
	horizon = time.Second
	// pause is how long a node backs off after it got fewer units than it requested, or an error.
	pause = 100 * time.Millisecond
)

// State is the state of a subject's quota after a call.
type State struct {
	Allowed   bool
	Remaining int       // units that are left in this period
	ResetsAt  time.Time // when the next period starts

	until reserve.Until
}

// Table counts one node's calls. A node takes units from the store before it uses them, in advance for
// subjects that call often: at most what they use in a second, and at most a hundredth of their limit.
// Units that a node held when it crashed are lost until the next period. It is safe for concurrent use.
type Table struct {
	store store.Quotas
	now   func() time.Time
	units *reserve.Table[store.Subject, apikey.Quota, taken]
}

// taken is the store's answer, and the period in which it was asked. Computing the period takes as long as all
// else about a call that need not ask (BenchmarkQuota in verify).
type taken struct {
	store.Used
	start, end time.Time
}

// periodAt returns the period of a quota that holds a time.
func (t taken) periodAt(at time.Time, quota apikey.Quota) (start, end time.Time) {
	if !at.Before(t.start) && at.Before(t.end) {
		return t.start, t.end
	}
	return quota.PeriodAt(at)
}

// New returns a Table that holds no units yet.
func New(quotas store.Quotas, now func() time.Time) *Table {
	rules := reserve.Rules[apikey.Quota, taken]{
		Terms: terms,
		Wait:  func(apikey.Quota, taken) time.Duration { return pause },
	}
	take := func(
		ctx context.Context, subject store.Subject, quota apikey.Quota, now time.Time, units int,
	) (reserve.Grant[taken], error) {
		start, end := quota.PeriodAt(now)
		used, err := quotas.TakeUnits(ctx, subject, quota.Limit, start, units)
		return reserve.Grant[taken]{Units: used.Granted, State: taken{used, start, end}}, err
	}
	return &Table{quotas, now, reserve.New(rules, take, now)}
}

func terms(quota apikey.Quota, now time.Time) reserve.Terms {
	_, end := quota.PeriodAt(now)
	return reserve.Terms{Valid: end.Sub(now), Horizon: horizon, Most: quota.Limit / share, Pause: pause}
}

// Take uses up units of a subject's quota for one call. It uses none if too few are left. State leaves
// out what other nodes took since this node last asked the store. The error is the store's or ctx's.
func (t *Table) Take(ctx context.Context, subject store.Subject, quota apikey.Quota, units int) (State, error) {
	answer, err := t.units.Take(ctx, subject, quota, units)
	if err != nil {
		return State{}, err
	}
	start, end := answer.State.periodAt(t.now(), quota)
	s := State{Allowed: answer.Allowed, ResetsAt: end, until: answer.Until}
	used := answer.State.Total
	if answer.State.Since.Before(start) { // units are free, and were never taken in this period
		if used, err = t.store.UsedUnits(ctx, subject, start); err != nil {
			return State{}, err
		}
	}
	s.Remaining = max(quota.Limit-used, 0) + answer.Held
	return s, nil
}

// Return gives back units that Take took for a call that did not pass after all. It returns the state
// afterwards.
func (t *Table) Return(subject store.Subject, quota apikey.Quota, units int, taken State) State {
	t.units.Return(subject, quota, units, taken.until)
	taken.Remaining += units
	return taken
}

// Flush gives back to the store what this node holds of quotas that were not used for the time idle; with 0,
// everything.
func (t *Table) Flush(ctx context.Context, idle time.Duration) error {
	var unused []store.Unused
	now := t.now()
	for _, held := range t.units.Release(ctx, idle) {
		if start, _ := held.Limit.PeriodAt(now); !held.State.Since.Before(start) {
			unused = append(unused, store.Unused{Subject: held.Subject, Since: held.State.Since, Units: held.Units})
		}
	}
	if len(unused) == 0 {
		return nil
	}
	return t.store.ReturnUnits(ctx, unused)
}

// Len returns how many subjects' units are counted now.
func (t *Table) Len() int { return t.units.Len() }
