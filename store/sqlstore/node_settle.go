package sqlstore

import (
	"context"
	"sync"
	"time"
)

// announced is a change whose transaction other nodes hear of when it commits. It must
// come to its end by settle or by abandon.
type announced struct {
	change
	node  *node
	acks  map[string]bool // nodes that applied it
	heard chan struct{}   // has something when acks grew
}

// waits are the changes that are on their way, with their acknowledgements.
type waits struct {
	mu  sync.Mutex
	all map[*announced]struct{}
}

func (w *waits) add(a *announced) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = make(map[*announced]struct{})
	}
	w.all[a] = struct{}{}
}

func (w *waits) remove(a *announced) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, a)
}

func (w *waits) acknowledged(ack acknowledgement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for a := range w.all {
		if a.chain != ack.Chain || a.to > ack.Seq {
			continue
		}
		a.acks[ack.Node] = true
		select {
		case a.heard <- struct{}{}:
		default: // it will look anyway
		}
	}
}

// has reports whether a node acknowledged a change.
func (w *waits) has(a *announced, node string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return a.acks[node]
}

// announce tells other nodes of a change, inside its transaction: exec runs a statement
// there. Acknowledgements count from here on, so none of an earlier attempt is taken for one.
func (n *node) announce(exec func(query string, args ...any) error, c change) (*announced, error) {
	for _, payload := range c.notifications(n.id) {
		if err := exec(`SELECT pg_notify($1, $2)`, changesChannel, payload); err != nil {
			return nil, err
		}
	}
	a := &announced{change: c, node: n, acks: make(map[string]bool), heard: make(chan struct{}, 1)}
	n.waits.add(a)
	return a, nil
}

// abandon is for a change that was not committed, or perhaps not.
func (a *announced) abandon() { a.node.waits.remove(a) }

// settle returns when no process uses any more what it remembered from before the change,
// which must have been committed just now. It waits for other nodes to acknowledge, or for
// the end of the leases that they had when it looked: those that they get later they get
// with the change. So it ends, whatever happens, about when the longest lease does; nobody
// can cut it short, because an answer before its end would be wrong. q reads what is
// committed.
func (a *announced) settle(q querier) {
	defer a.node.waits.remove(a)
	committed := time.Now()
	a.node.made(a.change)
	peers, ok := a.node.look(q, committed)
	if !ok {
		time.Sleep(time.Until(committed.Add(a.node.longestLease())))
		return
	}
	for id, p := range peers {
		until := p.until()
		if last := committed.Add(p.lease); last.Before(until) {
			until = last // what began after the commit began with the change
		}
		a.await(id, until)
	}
}

// await waits until a node has acknowledged, or its time is over.
func (a *announced) await(id string, until time.Time) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	for !a.node.waits.has(a, id) {
		select {
		case <-a.heard:
		case <-timer.C:
			return
		}
	}
}

// look reads, once, which other nodes may trust what they remember. It tries again as long
// as a lease that there was at the commit can last.
func (n *node) look(q querier, committed time.Time) (map[string]peer, bool) {
	ctx, cancel := context.WithDeadline(context.Background(), committed.Add(n.longestLease()))
	defer cancel()
	for {
		live, err := queryPeers(ctx, q, n.id)
		if err == nil {
			return n.peers.see(live, time.Now()), true
		}
		select {
		case <-time.After(minBackoff):
		case <-ctx.Done():
			return nil, false
		}
	}
}

// longestLease is the longest of all nodes that are known.
func (n *node) longestLease() time.Duration { return max(n.lease, n.peers.longest()) }
