package lease

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"apikeyd/apikey"
)

// peer is another node as it was seen in the database.
type peer struct {
	name     string
	renewals int64
	lease    time.Duration
	since    time.Time // when it was first seen with this number of renewals
}

// until is when its last renewal has certainly expired.
func (p peer) until() time.Time { return p.since.Add(p.lease) }

// peers knows since when other nodes are silent. It uses this process's monotonic clock only, so other clocks do
// not matter, not even the database's before and after a failover: a renewal was made before it was first seen,
// so its lease is over once its length has passed since then.
type peers struct {
	mu   sync.Mutex
	seen map[string]peer
}

// see notes the nodes that were read before now, and returns them.
func (p *peers) see(live map[string]peer, now time.Time) map[string]peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, is := range live {
		is.since = now
		if was, ok := p.seen[id]; ok && was.renewals == is.renewals {
			is.since = was.since
		}
		live[id] = is
	}
	p.seen = live
	return live
}

func (p *peers) longest() (lease time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.seen {
		lease = max(lease, known.lease)
	}
	return lease
}

// peersQuery reads the nodes other than one.
const peersQuery = `SELECT node, name, renewals, lease_ms FROM nodes WHERE node <> $1`

func queryPeers(ctx context.Context, q querier, except string) (map[string]peer, error) {
	rows, err := q.QueryContext(ctx, peersQuery, except)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	live := make(map[string]peer)
	for rows.Next() {
		var (
			id, name     string
			renewals, ms int64
		)
		if err := rows.Scan(&id, &name, &renewals, &ms); err != nil {
			return nil, err
		}
		live[id] = newPeer(name, renewals, ms)
	}
	return live, rows.Err()
}

func newPeer(name string, renewals, ms int64) peer {
	return peer{name: name, renewals: renewals, lease: time.Duration(ms) * time.Millisecond}
}

// Member is a process that serves the database.
type Member struct {
	Name  string
	Since time.Time // when it started, by its own clock
	Self  bool
}

// Members returns the processes whose leases last, in the order of their names. One that was killed is among them until
// its lease has ended.
func (n *Node) Members(ctx context.Context, q querier) ([]Member, error) {
	live, err := queryPeers(ctx, q, n.id)
	if err != nil {
		return nil, err
	}
	members, now := []Member{{n.options.Name, startOf(n.id), true}}, time.Now()
	for id, p := range n.peers.see(live, now) {
		if now.Before(p.until()) {
			members = append(members, Member{p.name, startOf(id), false})
		}
	}
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Since.Compare(b.Since))
	})
	return members, nil
}

// startOf returns the time in a node's id, a UUIDv7 that is new at each start, or zero if it is no id.
func startOf(node string) time.Time {
	id, err := apikey.ParseID(node)
	if err != nil {
		return time.Time{}
	}
	var ms [8]byte
	copy(ms[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:]))) //nolint:gosec // it has 48 bits
}
