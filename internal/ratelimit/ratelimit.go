// Package ratelimit counts calls against rate limits, exactly: the generic cell rate
// algorithm (GCRA, ITU-T I.371) in whole microseconds, without rounding.
//
// A subject that was quiet for a window may call Limit times at once. Each call fills its
// bucket by Window; the bucket drains by Limit in each microsecond, and holds Limit ×
// Window. A call that would make it overflow is refused, and adds nothing. So in any time
// span t at most Limit + Limit × t/Window calls pass.
package ratelimit

import (
	"sync"
	"time"

	"apikeyd/apikey"
)

// Quota is what a call learns about its subject's limit.
type Quota struct {
	Allowed    bool
	Remaining  int           // how many calls more would pass at once
	RetryAfter time.Duration // until one call would pass; 0 if one would pass now
	Reset      time.Duration // until all Limit calls would pass again
}

// Table remembers how full the buckets of many subjects are. It is safe for concurrent
// use. A full bucket is empty again after its window, and empty ones are forgotten, so a
// Table is as large as the number of subjects seen within their windows, or Max. A new
// Table, as after a restart, has only empty buckets.
type Table[K comparable] struct {
	max   int       // 0 is without bound
	epoch time.Time // instants count from here, so that setting the clock moves none

	mu      sync.Mutex
	buckets map[K]bucket
	sweepAt int // how many buckets there may be before empty ones are looked for
}

// New returns an empty Table of at most maximum subjects; 0 is without bound. At the
// maximum some subject is forgotten for each new one, and begins anew. Of a few it is the
// one with the emptiest bucket: many subjects that call once each push out each other, and
// hardly ever one that is near its limit.
func New[K comparable](maximum int) *Table[K] {
	return &Table[K]{max: maximum, epoch: time.Now(), buckets: make(map[K]bucket), sweepAt: firstSweep}
}

// firstSweep is how many buckets are no burden.
const firstSweep = 1024

// bucket is how full one subject's bucket is.
type bucket struct {
	limit apikey.RateLimit // another one begins with an empty bucket
	at    int64            // microseconds since the table's epoch
	level int64            // in calls × microseconds, as it was then
}

// Take counts one call of a subject at now, unless its limit is used up.
func (t *Table[K]) Take(subject K, limit apikey.RateLimit, now time.Time) Quota {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, known := t.buckets[subject]
	at := now.Sub(t.epoch).Microseconds()
	b = b.drain(limit, at)
	if !known {
		t.makeRoom(at)
	}
	quota := b.take()
	t.buckets[subject] = b
	return quota
}

// Len returns how many subjects are remembered.
func (t *Table[K]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.buckets)
}

// maxLate is by how much a call may be late: callers read the clock before they get here,
// and may be overtaken.
const maxLate = 30 * time.Second

// drain is the bucket at an instant. A call that is late drains nothing. A clock that went
// back further than that drains nothing either, and counts from where it is.
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

func (b *bucket) take() Quota {
	window, limit := b.limit.Window.Microseconds(), int64(b.limit.Limit)
	capacity := window * limit // at most 8.64e16
	allowed := b.level+window <= capacity
	if allowed {
		b.level += window
	}
	q := b.quota()
	q.Allowed = allowed
	return q
}

// quota is what there is to know of a bucket, but for the call that asks.
func (b *bucket) quota() (q Quota) {
	window, limit := b.limit.Window.Microseconds(), int64(b.limit.Limit)
	capacity := window * limit
	q.Remaining = int((capacity - b.level) / window)
	q.Reset = drainTime(b.level, limit)
	if q.Remaining == 0 {
		q.RetryAfter = drainTime(b.level+window-capacity, limit)
	}
	return q
}

// drainTime is how long a level takes to drain, rounded up.
func drainTime(level, limit int64) time.Duration {
	return time.Duration((level+limit-1)/limit) * time.Microsecond
}

// makeRoom forgets what is empty, and at the maximum somebody, before a subject is added.
func (t *Table[K]) makeRoom(at int64) {
	if len(t.buckets) >= t.sweepAt {
		for subject, b := range t.buckets {
			if b.drain(b.limit, at).level == 0 {
				delete(t.buckets, subject)
			}
		}
		// Twice what is left: the cost of looking is spread over as many additions.
		t.sweepAt = max(2*len(t.buckets), firstSweep)
	}
	if t.max > 0 && len(t.buckets) >= t.max {
		delete(t.buckets, t.emptiest(at))
	}
}

// candidates is how many subjects are looked at to forget one of them.
const candidates = 16

// emptiest returns the subject with the emptiest bucket of a few at random.
func (t *Table[K]) emptiest(at int64) (least K) {
	seen, lowest := 0, 0.0
	for subject, b := range t.buckets { // in an order that is random enough
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
