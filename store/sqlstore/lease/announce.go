package lease

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"time"
)

// Announced is a committed change of which other nodes are told. It must end with Settle.
type Announced struct {
	Change
	node  *Node
	acks  map[string]bool // nodes that applied it
	heard chan struct{}   // has something when acks grew
}

// pending are the announced changes that are not settled, with their acknowledgements.
type pending struct {
	mu     sync.Mutex
	all    map[*Announced]struct{}
	unsent []*Announced // of which no node was told yet, in the order of their commits

	sending sync.Mutex // held while unsent ones are sent, so that they arrive in their order
}

func (p *pending) add(a *Announced) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = make(map[*Announced]struct{})
	}
	p.all[a] = struct{}{}
	p.unsent = append(p.unsent, a)
}

func (p *pending) remove(a *Announced) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, a)
	p.unsent = slices.DeleteFunc(p.unsent, func(other *Announced) bool { return other == a })
}

// take empties unsent.
func (p *pending) take() []*Announced {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.unsent
	p.unsent = nil
	return taken
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

// Announce applies a change that this process has just committed, and enqueues it for other nodes. The caller
// announces changes in the order of their commits.
func (n *Node) Announce(c Change) *Announced {
	n.made(c)
	a := &Announced{Change: c, node: n, acks: make(map[string]bool), heard: make(chan struct{}, 1)}
	n.pending.add(a)
	return a
}

// querier reads committed rows.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Settle tells other nodes of the change, and returns when none of them uses what it cached before. It waits for
// them to acknowledge, or for the end of the leases that they had when it looked: a later lease begins with the
// change. So it always ends, at the latest about when the longest lease does. No caller can cut it short, because
// an answer before its end would be wrong.
func (a *Announced) Settle(q querier) {
	defer a.node.pending.remove(a)
	committed := time.Now()
	peers := a.node.look(q, committed)
	if len(peers) > 0 {
		a.node.send(q)
	}
	for id, p := range peers {
		until := p.until()
		if last := committed.Add(p.lease); last.Before(until) {
			until = last // a lease that began after the commit began with the change
		}
		a.await(id, until)
	}
}

// notify sends payloads on a channel, in a transaction of its own. PostgreSQL commits transactions that notify one
// after another, on all nodes, so it must not wait for the disk: a notification is useful now or never.
const notify = `SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, payload)
	FROM unnest($2::text[]) AS payload`

// sendAttempts is how often notifications are sent if the connection turns out to be broken.
const sendAttempts = 3

// send tells other nodes of all unsent changes. If it fails, they find the changes at their next renewals.
func (n *Node) send(q querier) {
	n.pending.sending.Lock()
	defer n.pending.sending.Unlock()
	var payloads []string
	for _, a := range n.pending.take() {
		payloads = append(payloads, a.notifications(n.id)...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), n.options.Length)
	defer cancel()
	for range sendAttempts {
		if len(payloads) == 0 {
			return // somebody else sent them
		}
		if sendOnce(ctx, q, payloads) == nil {
			return
		}
	}
}

func sendOnce(ctx context.Context, q querier, payloads []string) error {
	rows, err := q.QueryContext(ctx, notify, changesChannel, payloads)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() { // one for each payload
	}
	return rows.Err()
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
