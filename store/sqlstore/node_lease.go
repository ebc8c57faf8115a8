package sqlstore

import (
	"maps"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"apikeyd/apikey"
	"apikeyd/store"
)

// head is the last event of a chain.
type head struct {
	seq   int64
	event apikey.ID
}

// applied is how far changes have reached the process's watcher.
type applied struct {
	mu      sync.Mutex
	watcher store.Watcher   // nil for none
	until   time.Time       // it trusts what it remembers
	heads   map[string]head // of each chain
}

// watch tells a watcher of every change from now on.
func (a *applied) watch(w store.Watcher) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watcher = w
	w.Trust(a.until)
}

func (a *applied) trust(until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.until = until
	if a.watcher != nil {
		a.watcher.Trust(until)
	}
}

func (a *applied) known() map[string]head {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.heads)
}

// tell tells the watcher what differs. The caller holds the lock.
func (a *applied) tell(keys []apikey.ID, all bool) {
	switch {
	case a.watcher == nil:
	case all:
		a.watcher.ChangedAll()
	default:
		for _, id := range keys {
			a.watcher.Changed(id)
		}
	}
}

// made applies a change of this process.
func (a *applied) made(c change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tell(c.keys, c.all)
	a.advance(c)
}

// hear applies a change that was notified. It may be a part of one, of which there is more.
func (a *applied) hear(c change, more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.heads[c.chain].seq
	if c.to <= known {
		return // its heads were read already, or it was made here
	}
	missed := c.from > known+1
	a.tell(c.keys, c.all || missed)
	if missed {
		a.set(c.chain, head{c.from - 1, apikey.ID{}})
	}
	if !more {
		a.advance(c)
	}
}

// advance moves the head over a change that continues the chain.
func (a *applied) advance(c change) {
	if known := a.heads[c.chain].seq; c.from <= known+1 && known < c.to {
		a.set(c.chain, head{c.to, c.event})
	}
}

func (a *applied) set(chain string, h head) {
	if a.heads == nil {
		a.heads = make(map[string]head)
	}
	a.heads[chain] = h
}

// reach applies everything up to the heads that the database has, if something of it was
// not heard. It returns the chains whose heads moved. The heads that were known before the
// database was asked must be in what it says: if they are not, it is not the database that
// was (a standby that lacked the last changes, a backup), and what was remembered is nothing.
func (a *applied) reach(before, heads map[string]head) (moved map[string]int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	moved = make(map[string]int64)
	for chain, was := range before {
		if is := heads[chain]; is.seq < was.seq || is.seq == was.seq && is.event != was.event {
			moved[chain] = is.seq
		}
	}
	for chain, is := range heads {
		if a.heads[chain].seq < is.seq {
			moved[chain] = is.seq
		}
	}
	if len(moved) == 0 {
		return nil
	}
	a.tell(nil, true)
	for chain := range moved {
		a.set(chain, heads[chain])
	}
	return moved
}

// renew prolongs the lease, and with it the trust in what is remembered. The order is what
// makes it right: whoever committed a change and then did not see this lease finds that
// change among the heads; and trust is counted from before the lease was asked for.
func (s *session) renew() error {
	if !s.remember {
		return nil
	}
	asked := time.Now()
	s.renewals++
	// A transaction of its own, durable and, with a synchronous standby, there too.
	err := s.exec(`INSERT INTO nodes (node, name, renewals, lease_ms) VALUES ($1, $2, $3, $4)
		ON CONFLICT (node) DO UPDATE SET renewals = excluded.renewals`,
		s.id, s.name, s.renewals, s.lease.Milliseconds())
	if err != nil {
		return err
	}
	before := s.known()
	heads, err := s.readHeads()
	if err != nil {
		return err
	}
	maps.Copy(s.owed, s.reach(before, heads))
	s.trust(asked.Add(s.lease - s.lease/driftPart))
	return s.tidy()
}

func (s *session) readHeads() (map[string]head, error) {
	ctx, cancel := s.timeout()
	defer cancel()
	rows, err := s.conn.Query(ctx, `SELECT chain, seq, event_id FROM audit_chains`)
	if err != nil {
		return nil, err
	}
	heads := make(map[string]head)
	var (
		chain string
		h     head
		event []byte
	)
	_, err = pgx.ForEachRow(rows, []any{&chain, &h.seq, &event}, func() error {
		copy(h.event[:], event)
		heads[chain] = h
		return nil
	})
	return heads, err
}

// tidy removes nodes whose lease is over, so that nobody has to find that out again. One
// that renews its lease at the same time keeps it, or has it anew.
func (s *session) tidy() error {
	live, err := s.readPeers()
	if err != nil {
		return err
	}
	now := time.Now()
	for id, p := range s.peers.see(live, now) {
		if now.Before(p.until()) {
			continue
		}
		if err := s.exec(`DELETE FROM nodes WHERE node = $1 AND renewals = $2`, id, p.renewals); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) readPeers() (map[string]peer, error) {
	ctx, cancel := s.timeout()
	defer cancel()
	rows, err := s.conn.Query(ctx, peersQuery, s.id)
	if err != nil {
		return nil, err
	}
	live := make(map[string]peer)
	var (
		id           string
		renewals, ms int64
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &renewals, &ms}, func() error {
		live[id] = newPeer(renewals, ms)
		return nil
	})
	return live, err
}
