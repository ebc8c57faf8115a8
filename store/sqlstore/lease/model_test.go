package lease

import (
	"fmt"
	"testing"
)

// This is a model of the protocol that keeps several nodes' caches correct (docs/consistency.md),
// and an exhaustive walk through everything that can happen in it, in every order: reads,
// late or lost messages, slow renewals of leases, crashes. The state is small: one key with a
// version, changed at most twice, time in whole ticks, and one node beside the writer. More
// nodes would only make the writer wait longer.
//
// What must never happen: a node uses a cached version of the key that is older than a
// change that was answered before the node began to look it up.

const (
	modelNodes   = 1
	modelChanges = 2
	modelLease   = 2 // ticks
	modelEnd     = 4 // ticks until the walk stops
)

// rules are parts of the protocol that the model can leave out, to show that each is needed.
type rules struct {
	noAcknowledgement bool // an answer does not wait for other nodes
	noLease           bool // a node trusts its cache forever
	leaseFromAnswer   bool // a node counts its lease from the answer, not from its request
	headsBeforeLease  bool // a renewal reads the heads before its lease is written
	noGeneration      bool // a row that was read before a change may be cached after it
	ackBeforeApply    bool // a node acknowledges a change before it applies it
	looksBeforeCommit bool // the writer looks at the leases before its change is committed
}

// modelState is the whole state. It is comparable, so that visited states are recognised.
type modelState struct {
	now     int8
	version int8 // of the key in the database: how many changes are committed

	nodes  [modelNodes]modelNode
	leases [modelNodes]int8 // in the database: until when

	// The changes, all made by a writer without a cache.
	answered int8                           // the last change that was answered
	looked   bool                           // whether the writer looked at the leases, once for each change
	seen     [modelNodes]int8               // those leases
	told     [modelNodes]int8               // what nodes acknowledged
	messages [modelChanges][modelNodes]int8 // notifications: 0 unsent, 1 under way, 2 delivered or lost
}

// modelNode is a node that reads.
type modelNode struct {
	down       bool
	remembers  int8 // a version, or -1
	generation int8 // grows with each invalidation
	applied    int8
	until      int8 // it trusts its cache before then; -1 is never

	// A row that was read and is not cached yet.
	read           int8 // -1 for none
	readGeneration int8

	// A renewal: 0 none, 1 asked, 2 lease written, 3 heads read.
	renewal int8
	asked   int8 // when
	heads   int8
}

func newModel() modelState {
	var s modelState
	for i := range s.nodes {
		s.nodes[i] = modelNode{remembers: -1, until: -1, read: -1}
	}
	return s
}

// step is something that can happen next.
type step struct {
	node   int    // 0 is the writer, or time
	what   string // happens,
	change int    // to which change
	next   modelState
}

func (s step) String() string {
	text := s.what
	if s.node > 0 {
		text = fmt.Sprintf("node %d %s", s.node-1, text)
	}
	if s.change > 0 {
		text = fmt.Sprintf("%s: change %d", text, s.change)
	}
	return text
}

// steps appends everything that can happen.
func (r rules) steps(all []step, s *modelState) []step {
	if s.now < modelEnd {
		all = append(all, step{what: "a tick", next: *s})
		all[len(all)-1].next.now++
	}
	waits := s.answered < s.version
	if !s.looked && (waits || r.looksBeforeCommit) {
		all = append(all, step{what: "the writer looks at the leases", next: *s})
		next := &all[len(all)-1].next
		next.seen, next.looked = s.leases, true
	}
	if s.version < modelChanges && !waits && s.looked == r.looksBeforeCommit {
		all = append(all, step{what: "committed", change: int(s.version) + 1, next: *s})
		next := &all[len(all)-1].next
		next.version++
		for i := range next.nodes {
			next.messages[s.version][i] = 1
		}
	}
	if waits && r.answers(s) {
		all = append(all, step{what: "answered", change: int(s.version), next: *s})
		next := &all[len(all)-1].next
		next.answered = s.version
		next.seen, next.looked = [modelNodes]int8{}, false
	}
	for i := range s.nodes {
		all = r.nodeSteps(all, s, i)
	}
	return all
}

// answers reports whether a change is answered, because no node can use an older version.
func (r rules) answers(s *modelState) bool {
	if r.noAcknowledgement {
		return true
	}
	for i, until := range s.seen {
		if s.now < until && s.told[i] < s.version {
			return false
		}
	}
	return s.looked
}

func (r rules) nodeSteps(all []step, s *modelState, i int) []step {
	change := func(what string, c int) (*modelState, *modelNode) {
		all = append(all, step{node: i + 1, what: what, change: c, next: *s})
		next := &all[len(all)-1].next
		return next, &next.nodes[i]
	}
	n := s.nodes[i]
	if n.down {
		_, next := change("starts", 0)
		*next = modelNode{remembers: -1, until: -1, read: -1}
		return all
	}
	_, crashed := change("crashes", 0)
	*crashed = modelNode{down: true}
	if n.read < 0 {
		next, n := change("reads the row", 0)
		n.read, n.readGeneration = next.version, n.generation
	} else {
		_, n := change("remembers what it read", 0)
		if r.noGeneration || n.readGeneration == n.generation {
			n.remembers = n.read
		}
		n.read = -1
	}
	for c := range s.messages {
		if s.messages[c][i] != 1 {
			continue
		}
		next, _ := change("misses the notification", c+1)
		next.messages[c][i] = 2
		next, n := change("hears", c+1)
		next.messages[c][i] = 2
		if r.ackBeforeApply {
			next.told[i] = max(next.told[i], int8(c)+1)
		} else {
			n.forget(int8(c) + 1)
		}
	}
	if n.applied > s.told[i] {
		next, n := change("acknowledges", 0)
		next.told[i] = n.applied
	}
	r.renew(n.renewal, i, change)
	return all
}

// forget applies the changes up to one.
func (n *modelNode) forget(version int8) {
	if version > n.applied {
		n.remembers, n.applied = -1, version
		n.generation = (n.generation + 1) % 4
	}
}

// renew takes the next step of a renewal.
func (r rules) renew(renewal int8, i int, change func(string, int) (*modelState, *modelNode)) {
	readHeads := func(next *modelState, n *modelNode) { n.heads = next.version }
	writeLease := func(next *modelState, _ *modelNode) { next.leases[i] = next.now + modelLease }
	first, second := writeLease, readHeads
	if r.headsBeforeLease {
		first, second = readHeads, writeLease
	}
	switch renewal {
	case 0:
		next, n := change("asks for a lease", 0)
		n.renewal, n.asked = 1, next.now
	case 1:
		next, n := change("goes on with its renewal", 0)
		first(next, n)
		n.renewal = 2
	case 2:
		next, n := change("goes on with its renewal", 0)
		second(next, n)
		n.renewal = 3
	case 3:
		next, n := change("has its lease", 0)
		n.forget(n.heads)
		n.until = n.asked + modelLease
		if r.leaseFromAnswer {
			n.until = next.now + modelLease
		}
		n.renewal, n.asked, n.heads = 0, 0, 0
	}
}

// violation reports whether some node would now use what an answered change invalidated.
func (r rules) violation(s *modelState) bool {
	for _, n := range s.nodes {
		trusts := n.until > s.now || r.noLease && n.until >= 0
		if !n.down && trusts && n.remembers >= 0 && n.remembers < s.answered {
			return true
		}
	}
	return false
}

// walk visits every reachable state. It returns how many there are, and the path to the first
// violation if there is one.
func (r rules) walk() (states int, trace []string) {
	start := newModel()
	seen := map[modelState]bool{start: true}
	queue := []modelState{start}
	from := []int32{0} // the index in the queue of each state's predecessor
	var buffer []step
	for at := 0; at < len(queue); at++ {
		s := queue[at]
		if r.violation(&s) {
			return len(queue), r.trace(queue, from, at)
		}
		buffer = r.steps(buffer[:0], &s)
		for i := range buffer {
			if next := &buffer[i].next; !seen[*next] {
				seen[*next] = true
				queue, from = append(queue, *next), append(from, int32(at))
			}
		}
	}
	return len(queue), nil
}

// trace returns the steps that led to a state.
func (r rules) trace(queue []modelState, from []int32, at int) (trace []string) {
	for ; at > 0; at = int(from[at]) {
		for _, s := range r.steps(nil, &queue[from[at]]) {
			if s.next == queue[at] {
				trace = append([]string{s.String()}, trace...)
				break
			}
		}
	}
	return trace
}

func TestLeaseModel(t *testing.T) {
	t.Parallel()
	states, trace := rules{}.walk()
	if trace != nil {
		t.Errorf("something stale is used:\n%q", trace)
	}
	t.Logf("%d states, no stale use", states)
}

// Every part of the protocol is needed: without it the walk finds a stale use.
func TestLeaseModelFindsFaults(t *testing.T) {
	t.Parallel()
	for name, without := range map[string]rules{
		"no acknowledgement":         {noAcknowledgement: true},
		"no lease":                   {noLease: true},
		"a lease from its answer on": {leaseFromAnswer: true},
		"heads before the lease":     {headsBeforeLease: true},
		"no generation":              {noGeneration: true},
		"acknowledged, then applied": {ackBeforeApply: true},
		"leases seen too early":      {looksBeforeCommit: true},
	} {
		t.Run(name, func(t *testing.T) {
			states, trace := without.walk()
			if trace == nil {
				t.Fatalf("nothing stale is used in %d states", states)
			}
			t.Logf("after %d states: %q", states, trace)
		})
	}
}
