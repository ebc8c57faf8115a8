package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"apikeyd/apikey"
	"apikeyd/store"
)

const (
	// maxScans is how many scans for one key may run or wait.
	maxScans = 16
	// maxScansWaiting is how many scans for all keys may wait.
	maxScansWaiting = 1024
)

var (
	errTooManyScans = fmt.Errorf("%w: of this key, %d run or wait", store.ErrTooManyScans, maxScans)
	errScansFull    = fmt.Errorf("%w: %d wait", store.ErrTooManyScans, maxScansWaiting)
)

// turns shares the connections for scans among callers. One owner has at most half of them at once, however many
// keys it has. A free one goes to the waiting owner that has the fewest, and of several to the one that was
// served longest ago.
type turns struct {
	mu      sync.Mutex
	free    int
	each    int // how many one owner may have
	owners  map[string]*share
	keys    map[apikey.ID]int // scans that run or wait
	waiting []*turn           // first come, first served
	served  int64             // how many turns were given
}

// share is what an owner has.
type share struct {
	running, waiting int
	last             int64 // the number of its last turn
}

type turn struct {
	owner *share
	given chan struct{} // closed when the turn comes
}

func newTurns(connections int) *turns {
	return &turns{
		free: connections, each: max(1, connections/2),
		owners: make(map[string]*share), keys: make(map[apikey.ID]int),
	}
}

// take waits for a turn and returns the function that ends it. It returns store.ErrTooManyScans, or the
// error of ctx.
func (t *turns) take(ctx context.Context, who store.Asker) (done func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.keys[who.Key] >= maxScans && !who.Key.IsZero():
		return nil, errTooManyScans
	case len(t.waiting) >= maxScansWaiting:
		return nil, errScansFull
	}
	owner := t.owners[who.Owner]
	if owner == nil {
		owner = &share{}
		t.owners[who.Owner] = owner
	}
	mine := &turn{owner: owner, given: make(chan struct{})}
	t.keys[who.Key]++
	owner.waiting++
	t.waiting = append(t.waiting, mine)
	t.give()
	t.mu.Unlock()
	select {
	case <-mine.given:
	case <-ctx.Done():
		err = ctx.Err()
	}
	t.mu.Lock()
	if err != nil && slices.Contains(t.waiting, mine) {
		t.waiting = slices.DeleteFunc(t.waiting, func(other *turn) bool { return other == mine })
		owner.waiting--
		t.leave(who, owner)
		return nil, err
	}
	return func() { t.end(who, owner) }, nil
}

// end ends a turn.
func (t *turns) end(who store.Asker, owner *share) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free++
	owner.running--
	t.leave(who, owner)
	t.give()
}

// leave removes a scan, and keys and owners that have no other.
func (t *turns) leave(who store.Asker, owner *share) {
	if t.keys[who.Key]--; t.keys[who.Key] == 0 {
		delete(t.keys, who.Key)
	}
	if owner.running+owner.waiting == 0 {
		delete(t.owners, who.Owner)
	}
}

// give gives out free connections.
func (t *turns) give() {
	for t.free > 0 {
		var next *turn
		for _, w := range t.waiting {
			if w.owner.running < t.each && (next == nil || w.owner.before(next.owner)) {
				next = w
			}
		}
		if next == nil {
			return
		}
		t.waiting = slices.DeleteFunc(t.waiting, func(other *turn) bool { return other == next })
		t.free--
		t.served++
		next.owner.waiting--
		next.owner.running++
		next.owner.last = t.served
		close(next.given)
	}
}

// before reports whether an owner's turn comes before another's.
func (s *share) before(other *share) bool {
	if s.running != other.running {
		return s.running < other.running
	}
	return s.last < other.last
}
