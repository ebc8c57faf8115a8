package lease

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// Announced is a change whose transaction tells other nodes of it when it commits. It must
// end with Settle or Abandon.
type Announced struct {
	Change
	node  *Node
	acks  map[string]bool // nodes that applied it
	heard chan struct{}   // has something when acks grew
}

// pending are the announced changes that are not settled, with their acknowledgements.
type pending struct {
	mu  sync.Mutex
	all map[*Announced]struct{}
}

func (p *pending) add(a *Announced) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = make(map[*Announced]struct{})
	}
	p.all[a] = struct{}{}
}

func (p *pending) remove(a *Announced) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, a)
}

func (p *pending) acknowledged(ack acknowledgement) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for a := range p.all {
		if a.Chain != ack.Chain || a.To > ack.Seq {
			continue
		}
		a.acks[ack.Node] = true
		select {
		case a.heard <- struct{}{}:
		default: // the waiter will look anyway
		}
	}
}

// has reports whether a node acknowledged a change.
func (p *pending) has(a *Announced, node string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return a.acks[node]
}

// Announce tells other nodes of a change, inside its transaction, in which exec runs a statement.
// Acknowledgements count from here on, so one of an earlier attempt is never mistaken for one of this.
func (n *Node) Announce(exec func(query string, args ...any) error, c Change) (*Announced, error) {
	for _, payload := range c.notifications(n.id) {
		if err := exec(`SELECT pg_notify($1, $2)`, changesChannel, payload); err != nil {
			return nil, err
		}
	}
	a := &Announced{Change: c, node: n, acks: make(map[string]bool), heard: make(chan struct{}, 1)}
	n.pending.add(a)
	return a, nil
}

// Abandon is for a change that was not committed, or perhaps not.
func (a *Announced) Abandon() { a.node.pending.remove(a) }

// querier reads committed rows.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Settle returns when no node uses what it cached before the change, which must have been committed just now. It
// waits for other nodes to acknowledge, or for the end of the leases that they had when it looked: a later lease
// begins with the change. So it always ends, at the latest about when the longest lease does. No caller can cut
// it short, because an answer before its end would be wrong.
func (a *Announced) Settle(q querier) {
	defer a.node.pending.remove(a)
	committed := time.Now()
	a.node.made(a.Change)
	for id, p := range a.node.look(q, committed) {
		until := p.until()
		if last := committed.Add(p.lease); last.Before(until) {
			until = last // a lease that began after the commit began with the change
		}
		a.await(id, until)
	}
}

// await waits until a node has acknowledged, or its time is over.
func (a *Announced) await(id string, until time.Time) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	for !a.node.pending.has(a, id) {
		select {
		case <-a.heard:
		case <-timer.C:
			return
		}
	}
}

// look reads, once, which other nodes may trust their caches. While the database does not answer, it retries
// until no lease that existed at the commit can last: then no node may.
func (n *Node) look(q querier, committed time.Time) map[string]peer {
	longest := max(n.options.Length, n.peers.longest())
	ctx, cancel := context.WithDeadline(context.Background(), committed.Add(longest))
	defer cancel()
	for {
		live, err := queryPeers(ctx, q, n.id)
		if err == nil {
			return n.peers.see(live, time.Now())
		}
		select {
		case <-time.After(minBackoff):
		case <-ctx.Done():
			return nil
		}
	}
}
