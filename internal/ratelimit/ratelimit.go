// Package ratelimit counts calls against rate limits, exactly: the generic cell rate
// algorithm (GCRA, ITU-T I.371) in whole microseconds, without rounding.
//
// A subject that made no calls for a window may make Limit calls at once. Each call adds Window to its
// bucket; the bucket drains by Limit every microsecond, and holds Limit × Window. A call that would
// overflow it is refused, and adds nothing. So in any time span t at most Limit + Limit × t/Window
// calls pass.
package ratelimit

import (
	"sync"
	"time"

	"apikeyd/apikey"
	"apikeyd/internal/reserve"
)

// State is the state of a subject's limit after a call.
type State struct {
	Allowed    bool
	Remaining  int           // how many more calls would pass now
	RetryAfter time.Duration // until the next call would pass; 0 if it would pass now
	Reset      time.Duration // until Limit calls would pass again

	until reserve.Until // of the call that was counted, if nodes share the limit
}

// Table holds the buckets of many subjects. It is safe for concurrent use. A full bucket is empty after
// a window, and empty buckets are dropped, so a Table holds the subjects seen within their windows, up
// to its maximum. A new Table, as after a restart, has only empty buckets.
type Table[K comparable] struct {
	max   int       // 0 is unlimited
	epoch time.Time // times count from here, on the monotonic clock

	mu      sync.Mutex
	buckets map[K]bucket
	sweepAt int // number of buckets at which empty ones are dropped
}

// New returns an empty Table of at most maximum subjects; 0 is unlimited. At the maximum, each new
// subject evicts another: of a few random ones, that with the emptiest bucket. So many subjects that
// call once each evict each other, and rarely one that is near its limit.
func New[K comparable](maximum int) *Table[K] {
	return &Table[K]{max: maximum, epoch: time.Now(), buckets: make(map[K]bucket), sweepAt: firstSweep}
}

// firstSweep is the smallest sweepAt.
const firstSweep = 1024

// bucket is the state of one subject's bucket.
type bucket struct {
	limit apikey.RateLimit // a change of the limit empties the bucket
	at    int64            // microseconds since the table's epoch
	level int64            // in calls × microseconds, at that time
}

// Take counts one call of a subject at now. It counts nothing if the limit is used up.
func (t *Table[K]) Take(subject K, limit apikey.RateLimit, now time.Time) State {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, known := t.buckets[subject]
	at := now.Sub(t.epoch).Microseconds()
	b = b.drain(limit, at)
	if !known {
		t.makeRoom(at)
	}
	state := b.take()
	t.buckets[subject] = b
	return state
}

// Return gives back a call that Take counted and that did not pass after all. It returns the state afterwards.
func (t *Table[K]) Return(subject K, limit apikey.RateLimit, counted State) State {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b, known := t.buckets[subject]; known && b.limit == limit {
		b.level = max(b.level-limit.Window.Microseconds(), 0)
		t.buckets[subject] = b
	}
	return counted.returned()
}

// returned is the state after the call was returned.
func (s State) returned() State {
	s.Remaining, s.RetryAfter = s.Remaining+1, 0
	return s
}

// Len returns how many subjects have a bucket.
func (t *Table[K]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.buckets)
}

// maxLate is how late a call may be: callers read the clock before they take the lock, so calls may
// arrive out of order.
const maxLate = 30 * time.Second

// drain returns the bucket at a later time. A late call drains nothing. If the clock went back by more
// than maxLate, nothing drains either, and time continues from there.
func (b bucket) drain(limit apikey.RateLimit, at int64) bucket {
	if b.limit != limit {
		return bucket{limit: limit, at: at}
	}
	if late := b.at - at; late > 0 && late <= maxLate.Microseconds() {
		at = b.at
	}
	elapsed := max(at-b.at, 0)
	b.at = at
	if elapsed >= limit.Window.Microseconds() {
		b.level = 0
	} else {
		b.level = max(b.level-elapsed*int64(limit.Limit), 0)
	}
	return b
}

func (b *bucket) take() State {
	window, limit := b.limit.Window.Microseconds(), int64(b.limit.Limit)
	capacity := window * limit // at most 8.64e16
	allowed := b.level+window <= capacity
	if allowed {
		b.level += window
	}
	s := b.state()
	s.Allowed = allowed
	return s
}

// state returns the bucket's state, without Allowed.
func (b *bucket) state() (s State) {
	window, limit := b.limit.Window.Microseconds(), int64(b.limit.Limit)
	capacity := window * limit
	s.Remaining = int((capacity - b.level) / window)
	s.Reset = drainTime(b.level, limit)
	if s.Remaining == 0 {
		s.RetryAfter = drainTime(b.level+window-capacity, limit)
	}
	return s
}

// drainTime returns how long a level takes to drain, rounded up.
func drainTime(level, limit int64) time.Duration {
	return time.Duration((level+limit-1)/limit) * time.Microsecond
}

// makeRoom drops empty buckets now and then, and evicts one at the maximum, before a subject is added.
func (t *Table[K]) makeRoom(at int64) {
	if len(t.buckets) >= t.sweepAt {
		for subject, b := range t.buckets {
			if b.drain(b.limit, at).level == 0 {
				delete(t.buckets, subject)
			}
		}
		// Twice the rest, which spreads the cost of a sweep over as many additions.
		t.sweepAt = max(2*len(t.buckets), firstSweep)
	}
	if t.max > 0 && len(t.buckets) >= t.max {
		delete(t.buckets, t.emptiest(at))
	}
}

// candidates is how many subjects are compared to evict one.
const candidates = 16

// emptiest returns the subject with the emptiest bucket of a few random ones.
func (t *Table[K]) emptiest(at int64) (least K) {
	seen, lowest := 0, 0.0
	for subject, b := range t.buckets { // the order is random enough
		b = b.drain(b.limit, at)
		level := float64(b.level) / (float64(b.limit.Limit) * float64(b.limit.Window.Microseconds()))
		if seen == 0 || level < lowest {
			least, lowest = subject, level
		}
		if seen++; seen == candidates {
			break
		}
	}
	return least
}
