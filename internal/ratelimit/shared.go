package ratelimit

import (
	"context"
	"sync"
	"time"

	"apikeyd/apikey"
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
// For a subject that calls seldom, each call asks the Source. For one that calls often, the node
// requests calls in advance, as many as it needed recently: at most a tenth of Limit, so none if Limit
// is below 10. It requests more before they run out, and no call waits for that.
type Shared[K comparable] struct {
	source Source[K]
	now    func() time.Time
	epoch  time.Time

	mu       sync.Mutex
	accounts map[K]*account
	sweepAt  int // number of accounts at which idle ones are dropped
}

// NewShared returns a Shared that holds no calls yet.
func NewShared[K comparable](source Source[K], now func() time.Time) *Shared[K] {
	return &Shared[K]{source: source, now: now, epoch: now(), accounts: make(map[K]*account), sweepAt: firstSweep}
}

// Take counts one call of a subject. It counts nothing if the limit is used up. The Quota leaves out
// calls that other nodes took since this node last asked the Source. The error is the Source's or ctx's.
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

// Len returns how many subjects have an account.
func (s *Shared[K]) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.accounts)
}

func (s *Shared[K]) clock() int64 { return s.now().Sub(s.epoch).Microseconds() }

// account returns the subject's account. A change of the limit replaces the account.
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
		s.sweepAt = max(2*len(s.accounts), firstSweep) // as in Table.makeRoom
	}
	a = &account{limit: limit}
	s.accounts[subject] = a
	return a
}

// ask requests the calls needed now, and those missing from the advance.
func (s *Shared[K]) ask(ctx context.Context, subject K, a *account, at int64, needed int) {
	a.advance = a.foresee(at)
	calls := needed + a.advance - a.left(at)
	if calls <= 0 {
		return
	}
	a.used, a.askedAt, a.asked = 0, at, make(chan struct{})
	ctx = context.WithoutCancel(ctx) // other calls wait for the answer too
	go func() {
		grant, err := s.source(ctx, subject, a.limit, calls)
		s.mu.Lock()
		defer s.mu.Unlock()
		a.hear(grant, calls, err, s.clock())
	}()
}

// wait waits for the Source's answer.
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

// account is a node's state of one subject. Times are in microseconds.
type account struct {
	limit  apikey.RateLimit
	bucket bucket   // shared by all nodes, as of the last answer
	leases [2]lease // granted calls, older ones first

	asked    chan struct{} // closed when the answer arrives; nil if no request is in flight
	askedAt  int64         // time of the last request
	advance  int           // calls to hold in advance, as of then
	used     int           // calls that passed since
	waiting  int           // calls that wait for the answer
	pauseEnd int64         // end of the back-off
	err      error         // of the last request
}

// lease is a number of calls that may pass until a time.
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

// left returns how many calls may pass without asking.
func (a *account) left(at int64) (calls int) {
	for _, l := range a.leases {
		if at < l.until {
			calls += l.calls
		}
	}
	return calls
}

// runsLow reports whether to request more now, so that no call has to wait.
func (a *account) runsLow(at int64) bool {
	return a.asked == nil && a.advance > 0 && at >= a.pauseEnd && 2*a.left(at) <= a.advance
}

// foresee estimates how many calls will pass in the next term, from those since the last request. The
// estimate at most doubles each time: a few quick calls are not a high rate yet.
func (a *account) foresee(at int64) int {
	rate := int64(a.used) * a.term() / max(at-a.askedAt, 1)
	return int(min(int64(a.limit.Limit/share), 2*int64(max(a.used, a.advance)), rate))
}

// hear records the Source's answer.
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
		older.calls += a.leases[1].calls // these expire a little early
	}
	// From the time of the request: the grant may be that old.
	a.leases[1] = lease{grant.Calls, a.askedAt + a.term()}
	if grant.Calls < calls {
		a.pauseEnd = at + max(pause, a.bucket.quota().RetryAfter.Microseconds())
	}
}

// quota returns the Quota for a call.
func (a *account) quota(at int64, allowed bool) Quota {
	b := a.bucket.drain(a.limit, at)
	b.level = max(b.level-int64(a.left(at))*a.limit.Window.Microseconds(), 0)
	q := b.quota()
	if q.Allowed = allowed; !allowed {
		q.Remaining, q.RetryAfter = 0, max(q.RetryAfter, time.Duration(a.pauseEnd-at)*time.Microsecond)
	}
	return q
}

// isIdle reports whether dropping the account would change nothing.
func (a *account) isIdle(at int64) bool {
	return a.asked == nil && a.waiting == 0 && at >= a.pauseEnd && at >= a.askedAt+a.term() && a.left(at) == 0
}
