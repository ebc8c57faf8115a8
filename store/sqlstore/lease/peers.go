package lease

import (
	"context"
	"sync"
	"time"
)

// peer is another node as it was seen in the database.
type peer struct {
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
const peersQuery = `SELECT node, renewals, lease_ms FROM nodes WHERE node <> $1`

func queryPeers(ctx context.Context, q querier, except string) (map[string]peer, error) {
	rows, err := q.QueryContext(ctx, peersQuery, except)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	live := make(map[string]peer)
	for rows.Next() {
		var (
			id           string
			renewals, ms int64
		)
		if err := rows.Scan(&id, &renewals, &ms); err != nil {
			return nil, err
		}
		live[id] = newPeer(renewals, ms)
	}
	return live, rows.Err()
}

func newPeer(renewals, ms int64) peer {
	return peer{renewals: renewals, lease: time.Duration(ms) * time.Millisecond}
}
