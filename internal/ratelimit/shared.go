package ratelimit

import (
	"context"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/reserve"
)

// share is a tenth: granted calls are valid for a tenth of a window, and a node may hold a tenth of the
// limit in advance.
const share = 10

// longestPause limits how long a node backs off after it got fewer calls than it asked for, or an error.
// It backs off longer if the bucket's level says so.
const longestPause = 100 * time.Millisecond

// Grant is the answer of a Source.
type Grant struct {
	Calls int   // that may pass
	Level int64 // of the bucket afterwards, in calls × microseconds
}

// Source takes calls from a subject's bucket, which all nodes share: as many as requested, or as many
// as are left.
type Source[K comparable] func(ctx context.Context, subject K, limit apikey.RateLimit, calls int) (Grant, error)

// Shared counts one node's calls against limits that several nodes share. Granted calls may pass during
// a tenth of the window, counted from the request to the Source, and expire afterwards. A Source that
// counts like a Table grants at most Limit + Limit × t/Window calls in any time t, so on all nodes
// together at most Limit + Limit × (t + Window/10)/Window pass.
//
// A node holds at most a tenth of Limit in advance, so none if Limit is below 10. It is safe for
// concurrent use.
type Shared[K comparable] struct {
	calls *reserve.Table[K, apikey.RateLimit, int64]
}

// NewShared returns a Shared that holds no calls yet.
func NewShared[K comparable](source Source[K], now func() time.Time) *Shared[K] {
	rules := reserve.Rules[apikey.RateLimit, int64]{Terms: terms, Wait: untilNext}
	return &Shared[K]{reserve.New(rules,
		func(ctx context.Context, subject K, limit apikey.RateLimit, _ time.Time, calls int) (reserve.Grant[int64], error) {
			grant, err := source(ctx, subject, limit, calls)
			return reserve.Grant[int64]{Units: grant.Calls, State: grant.Level}, err
		}, now)}
}

func terms(limit apikey.RateLimit, _ time.Time) reserve.Terms {
	term := limit.Window / share
	return reserve.Terms{Valid: term, Horizon: term, Most: limit.Limit / share, Pause: pause(limit)}
}

func pause(limit apikey.RateLimit) time.Duration { return min(limit.Window/share/2, longestPause) }

// untilNext is how long a bucket takes to have room for another call.
func untilNext(limit apikey.RateLimit, level int64) time.Duration {
	b := bucket{limit: limit, level: level}
	return max(pause(limit), b.state().RetryAfter)
}

// Take counts one call of a subject. It counts nothing if the limit is used up. The State leaves out
// calls that other nodes took since this node last asked the Source. The error is the Source's or ctx's.
func (s *Shared[K]) Take(ctx context.Context, subject K, limit apikey.RateLimit) (State, error) {
	answer, err := s.calls.Take(ctx, subject, limit, 1)
	if err != nil {
		return State{}, err
	}
	b := bucket{limit: limit, level: answer.State}.drain(limit, answer.Age.Microseconds())
	b.level = max(b.level-int64(answer.Held)*limit.Window.Microseconds(), 0)
	state := b.state()
	state.until = answer.Until
	if state.Allowed = answer.Allowed; !state.Allowed {
		state.Remaining, state.RetryAfter = 0, max(state.RetryAfter, answer.Retry)
	}
	return state, nil
}

// Return gives back a call that Take counted and that did not pass after all. It returns the state afterwards.
func (s *Shared[K]) Return(subject K, limit apikey.RateLimit, counted State) State {
	s.calls.Return(subject, limit, 1, counted.until)
	return counted.returned()
}

// Len returns how many subjects have an account.
func (s *Shared[K]) Len() int { return s.calls.Len() }
