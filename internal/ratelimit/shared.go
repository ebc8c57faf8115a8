package ratelimit

import (
	"context"
	"sync"
	"time"

	"apikeyd/apikey"
)

// share is the part of a window for which calls that were granted are good, and the part
// of a limit that one node may have of them in advance: a tenth.
const share = 10

// longestPause is how long a node that got less than it asked for, or no answer, does not
// ask again, unless it is known that it takes longer until there is more.
const longestPause = 100 * time.Millisecond

// Grant is what a Source gives.
type Grant struct {
	Calls int   // that may pass
	Level int64 // of the bucket afterwards, in calls × microseconds
}

// Source takes calls out of the one bucket that a subject has for all nodes: as many as it
// is asked for, or what there is.
type Source[K comparable] func(ctx context.Context, subject K, limit apikey.RateLimit, calls int) (Grant, error)

// Shared is one node's part in counting calls against limits that hold for several nodes
// together. What a Source granted may pass during a tenth of the window, counted from the
// question, and is lost afterwards. A Source that counts as a Table does grants at most
// Limit + Limit × t/Window calls in any time t, so over all nodes at most Limit + Limit ×
// (t + Window/10)/Window pass.
//
// A subject that is used for the first time, or seldom, is asked about for each call. If
// it is used more, the node has calls in advance, as many as it used to need: at most a
// tenth of Limit, so none of a Limit below 10. It asks for more before they are used up,
// and no call waits for that.
type Shared[K comparable] struct {
	source Source[K]
	now    func() time.Time
	epoch  time.Time

	mu       sync.Mutex
	accounts map[K]*account
	sweepAt  int // how many accounts there may be before idle ones are looked for
}

// NewShared returns a Shared that has no calls yet.
func NewShared[K comparable](source Source[K], now func() time.Time) *Shared[K] {
	return &Shared[K]{source: source, now: now, epoch: now(), accounts: make(map[K]*account), sweepAt: firstSweep}
}

// Take counts one call of a subject, unless its limit is used up. The Quota is what this
// node knows; what others took since it asked last it does not. The error is the Source's,
// or that of ctx.
func (s *Shared[K]) Take(ctx context.Context, subject K, limit apikey.RateLimit) (Quota, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, at := s.account(subject, limit), s.clock()
	for !a.take(at) {
		if at < a.pauseEnd {
			return a.quota(at, false), a.err
		}
		if a.asked == nil {
			s.ask(ctx, subject, a, at, 1+a.waiting)
		}
		if err := s.wait(ctx, a); err != nil {
			return Quota{}, err
		}
		at = s.clock()
	}
	if a.runsLow(at) {
		s.ask(ctx, subject, a, at, 0)
	}
	return a.quota(at, true), nil
}

// Len returns how many subjects are remembered.
func (s *Shared[K]) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.accounts)
}

func (s *Shared[K]) clock() int64 { return s.now().Sub(s.epoch).Microseconds() }

// account returns the subject's. One with another limit is another one.
func (s *Shared[K]) account(subject K, limit apikey.RateLimit) *account {
	a := s.accounts[subject]
	if a != nil && a.limit == limit {
		return a
	}
	if len(s.accounts) >= s.sweepAt {
		at := s.clock()
		for other, a := range s.accounts {
			if a.isIdle(at) {
				delete(s.accounts, other)
			}
		}
		s.sweepAt = max(2*len(s.accounts), firstSweep) // as a Table does
	}
	a = &account{limit: limit}
	s.accounts[subject] = a
	return a
}

// ask asks for the calls that are needed now, and for what is missing of those in advance.
func (s *Shared[K]) ask(ctx context.Context, subject K, a *account, at int64, needed int) {
	a.advance = a.foresee(at)
	calls := needed + a.advance - a.left(at)
	if calls <= 0 {
		return
	}
	a.used, a.askedAt, a.asked = 0, at, make(chan struct{})
	ctx = context.WithoutCancel(ctx) // others wait for the answer too
	go func() {
		grant, err := s.source(ctx, subject, a.limit, calls)
		s.mu.Lock()
		defer s.mu.Unlock()
		a.hear(grant, calls, err, s.clock())
	}()
}

// wait waits for the answer to what was asked.
func (s *Shared[K]) wait(ctx context.Context, a *account) error {
	asked := a.asked
	a.waiting++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		a.waiting--
	}()
	select {
	case <-asked:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// account is what a node knows of one subject. Instants are in microseconds.
type account struct {
	limit  apikey.RateLimit
	bucket bucket   // for all nodes, as it was when last heard of
	leases [2]lease // calls that were granted, the older ones first

	asked    chan struct{} // is closed when the answer is there; nil if nothing is asked
	askedAt  int64         // when something was asked last
	advance  int           // how many calls to have in advance, as it was foreseen then
	used     int           // how many passed since
	waiting  int           // how many calls wait for an answer
	pauseEnd int64         // until when nothing is asked
	err      error         // why there was no answer
}

// lease is calls that may pass until then.
type lease struct {
	calls int
	until int64
}

func (a *account) term() int64 { return a.limit.Window.Microseconds() / share }

func (a *account) take(at int64) bool {
	for i := range a.leases {
		if l := &a.leases[i]; l.calls > 0 && at < l.until {
			l.calls--
			a.used++
			return true
		}
	}
	return false
}

// left is how many calls may pass without asking.
func (a *account) left(at int64) (calls int) {
	for _, l := range a.leases {
		if at < l.until {
			calls += l.calls
		}
	}
	return calls
}

// runsLow reports whether it is time to ask, so that no call has to wait.
func (a *account) runsLow(at int64) bool {
	return a.asked == nil && a.advance > 0 && at >= a.pauseEnd && 2*a.left(at) <= a.advance
}

// foresee is how many calls will pass in the next term, going by those since something was
// asked last. It doubles at most: a few calls in a row are no high rate yet.
func (a *account) foresee(at int64) int {
	rate := int64(a.used) * a.term() / max(at-a.askedAt, 1)
	return int(min(int64(a.limit.Limit/share), 2*int64(max(a.used, a.advance)), rate))
}

// hear notes the answer to what was asked.
func (a *account) hear(grant Grant, calls int, err error, at int64) {
	close(a.asked)
	a.asked, a.err = nil, err
	pause := min(a.term()/2, longestPause.Microseconds())
	if err != nil {
		a.pauseEnd = at + pause
		return
	}
	a.bucket = bucket{limit: a.limit, at: at, level: grant.Level}
	if older := &a.leases[0]; older.calls == 0 || at >= older.until {
		*older = a.leases[1]
	} else {
		older.calls += a.leases[1].calls // these are lost a little early
	}
	// Counted from the question: the grant may be as old.
	a.leases[1] = lease{grant.Calls, a.askedAt + a.term()}
	if grant.Calls < calls {
		a.pauseEnd = at + max(pause, a.bucket.quota().RetryAfter.Microseconds())
	}
}

// quota is what a call learns.
func (a *account) quota(at int64, allowed bool) Quota {
	b := a.bucket.drain(a.limit, at)
	b.level = max(b.level-int64(a.left(at))*a.limit.Window.Microseconds(), 0)
	q := b.quota()
	if q.Allowed = allowed; !allowed {
		q.Remaining, q.RetryAfter = 0, max(q.RetryAfter, time.Duration(a.pauseEnd-at)*time.Microsecond)
	}
	return q
}

// isIdle reports whether forgetting an account would change nothing.
func (a *account) isIdle(at int64) bool {
	return a.asked == nil && a.waiting == 0 && at >= a.pauseEnd && at >= a.askedAt+a.term() && a.left(at) == 0
}
