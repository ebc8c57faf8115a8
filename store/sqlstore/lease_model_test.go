package sqlstore

import (
	"fmt"
	"testing"
)

// This is a model of how several nodes keep what they remember true (docs/consistency.md),
// and an exhaustive walk through everything that can happen in it, in every order: reads,
// messages that are late or lost, renewals of leases that take their time, crashes. The
// state is small: one key with a version, changed at most twice, time in whole ticks, and one
// node beside the writer: what another one does only makes the writer wait longer.
//
// What must never happen: a node uses what it remembers of the key, that is older than a
// change which was answered, before the node began to look.

const (
	modelNodes   = 1
	modelChanges = 2
	modelLease   = 2 // ticks
	modelEnd     = 4 // ticks, then the walk stops
)

// rules are the parts of the protocol that the model can leave out, to show that each is
// needed.
type rules struct {
	noAcknowledgement bool // an answer does not wait for other nodes
	noLease           bool // a node trusts what it remembers without end
	leaseFromAnswer   bool // a node counts its lease from when it hears of it, not from when it asked
	headsBeforeLease  bool // a renewal looks how far the changes got before its lease is written
	noGeneration      bool // a row that was read before a change may be remembered after it
	ackBeforeApply    bool // a node acknowledges before it forgets
	looksBeforeCommit bool // the writer looks at the leases before its change is committed
}

// modelState is everything there is. It is comparable, so that states seen before are known.
type modelState struct {
	now     int8
	version int8 // of the key in the database: how many changes are committed

	nodes  [modelNodes]modelNode
	leases [modelNodes]int8 // in the database: until when

	// The changes, all made by a writer that remembers nothing itself.
	answered int8                           // the last change that was answered
	looked   bool                           // whether the writer looked at the leases, once for each change
	seen     [modelNodes]int8               // those leases
	told     [modelNodes]int8               // what nodes said to the writer that they applied
	messages [modelChanges][modelNodes]int8 // notifications: 0 unsent, 1 on their way, 2 over
}

// modelNode is a node that reads.
type modelNode struct {
	down       bool
	remembers  int8 // a version, or -1
	generation int8 // grows with what is forgotten
	applied    int8
	until      int8 // it trusts what it remembers before then; -1 never

	// A row that was read and is not remembered yet.
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
	what string
	next modelState
}

// steps returns everything that can happen.
func (r rules) steps(s modelState) []step {
	var all []step
	add := func(what string, next modelState) { all = append(all, step{what, next}) }
	if s.now < modelEnd {
		next := s
		next.now++
		add("a tick", next)
	}
	waits := s.answered < s.version
	if !s.looked && (waits || r.looksBeforeCommit) {
		next := s
		next.seen, next.looked = s.leases, true
		add("the writer looks at the leases", next)
	}
	if s.version < modelChanges && !waits && s.looked == r.looksBeforeCommit {
		next := s
		next.version++
		for i := range next.nodes {
			next.messages[s.version][i] = 1
		}
		add(fmt.Sprintf("change %d is committed", next.version), next)
	}
	if waits {
		r.answer(s, add)
	}
	for i := range s.nodes {
		r.nodeSteps(s, i, add)
	}
	return all
}

// answer is the end of a change, when no node can use what was before.
func (r rules) answer(s modelState, add func(string, modelState)) {
	answer := s.looked
	for i, until := range s.seen {
		if s.now < until && s.told[i] < s.version {
			answer = false
		}
	}
	if r.noAcknowledgement {
		answer = true
	}
	if answer {
		next := s
		next.answered = s.version
		next.seen, next.looked = [modelNodes]int8{}, false
		add(fmt.Sprintf("change %d is answered", next.answered), next)
	}
}

func (r rules) nodeSteps(s modelState, i int, add func(string, modelState)) {
	name := fmt.Sprintf("node %d", i)
	change := func(what string, do func(next *modelState, n *modelNode)) {
		next := s
		do(&next, &next.nodes[i])
		add(name+" "+what, next)
	}
	n := s.nodes[i]
	if n.down {
		change("starts", func(_ *modelState, n *modelNode) { *n = modelNode{remembers: -1, until: -1, read: -1} })
		return
	}
	change("crashes", func(_ *modelState, n *modelNode) { *n = modelNode{down: true} })
	if n.read < 0 {
		change("reads the row", func(next *modelState, n *modelNode) {
			n.read, n.readGeneration = next.version, n.generation
		})
	} else {
		change("remembers what it read", func(_ *modelState, n *modelNode) {
			if r.noGeneration || n.readGeneration == n.generation {
				n.remembers = n.read
			}
			n.read = -1
		})
	}
	for c := range s.messages {
		if s.messages[c][i] == 1 {
			change(fmt.Sprintf("misses the notification of %d", c+1), func(next *modelState, _ *modelNode) {
				next.messages[c][i] = 2
			})
			change(fmt.Sprintf("hears of %d", c+1), func(next *modelState, n *modelNode) {
				next.messages[c][i] = 2
				if r.ackBeforeApply {
					next.told[i] = max(next.told[i], int8(c)+1)
					return
				}
				n.forget(int8(c) + 1)
			})
		}
	}
	if n.applied > s.told[i] {
		change("acknowledges", func(next *modelState, n *modelNode) { next.told[i] = n.applied })
	}
	r.renewalSteps(n, i, change)
}

// forget applies the changes up to one.
func (n *modelNode) forget(version int8) {
	if version > n.applied {
		n.remembers, n.applied = -1, version
		n.generation = (n.generation + 1) % 4
	}
}

func (r rules) renewalSteps(
	n modelNode, i int, change func(string, func(*modelState, *modelNode)),
) {
	readHeads := func(next *modelState, n *modelNode) { n.heads = next.version }
	writeLease := func(next *modelState, _ *modelNode) { next.leases[i] = next.now + modelLease }
	first, second := writeLease, readHeads
	if r.headsBeforeLease {
		first, second = readHeads, writeLease
	}
	switch n.renewal {
	case 0:
		change("asks for a lease", func(next *modelState, n *modelNode) { n.renewal, n.asked = 1, next.now })
	case 1:
		change("goes on with its renewal", func(next *modelState, n *modelNode) {
			first(next, n)
			n.renewal = 2
		})
	case 2:
		change("goes on with its renewal", func(next *modelState, n *modelNode) {
			second(next, n)
			n.renewal = 3
		})
	case 3:
		change("has its lease", func(next *modelState, n *modelNode) {
			n.forget(n.heads)
			n.until = n.asked + modelLease
			if r.leaseFromAnswer {
				n.until = next.now + modelLease
			}
			n.renewal, n.asked, n.heads = 0, 0, 0
		})
	}
}

// violation says whether some node would use now what an answered change made wrong.
func (r rules) violation(s modelState) bool {
	for _, n := range s.nodes {
		trusts := n.until > s.now || r.noLease && n.until >= 0
		if !n.down && trusts && n.remembers >= 0 && n.remembers < s.answered {
			return true
		}
	}
	return false
}

// walk visits every state that can be reached, and returns how many, and the way to the
// first violation if there is one.
func (r rules) walk() (states int, trace []string) {
	type origin struct {
		from modelState
		what string
	}
	start := newModel()
	seen := map[modelState]origin{start: {}}
	queue := []modelState{start}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if r.violation(s) {
			for at := s; at != start; at = seen[at].from {
				trace = append([]string{seen[at].what}, trace...)
			}
			return len(seen), trace
		}
		for _, next := range r.steps(s) {
			if _, known := seen[next.next]; !known {
				seen[next.next] = origin{s, next.what}
				queue = append(queue, next.next)
			}
		}
	}
	return len(seen), nil
}

func TestLeaseModel(t *testing.T) {
	t.Parallel()
	states, trace := rules{}.walk()
	if trace != nil {
		t.Errorf("something stale is used:\n%q", trace)
	}
	t.Logf("%d states, no stale use", states)
}

// Every part of the protocol is needed: without it the walk finds a way to a stale use.
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
