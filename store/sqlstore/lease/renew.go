package lease

import (
	"context"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
)

// renew renews the lease, and with it the trust in the cache. It is correct because of its order: a change whose
// writer did not see this lease was committed before it, so it is among the heads; and trust counts from before
// the lease was asked for.
func (s *session) renew(patience time.Duration) error {
	if !s.options.Caches {
		return nil
	}
	asked := time.Now()
	s.renewals++
	// A transaction of its own, durable and, with a synchronous standby, there too.
	err := s.exec(`INSERT INTO nodes (node, name, renewals, lease_ms) VALUES ($1, $2, $3, $4)
		ON CONFLICT (node) DO UPDATE SET renewals = excluded.renewals`,
		s.id, s.options.Name, s.renewals, s.options.Length.Milliseconds())
	if err != nil {
		return err
	}
	before := s.known()
	heads, err := s.readHeads()
	if err != nil {
		return err
	}
	if err := s.catchUp(heads, patience); err != nil {
		return err
	}
	maps.Copy(s.owed, s.reach(before, heads))
	s.trust(asked.Add(s.options.Length - s.options.Length/driftPart))
	return s.tidy()
}

// catchUp gives notifications of the changes in these heads some time to arrive: they are sent after the commit, so a
// head is often read a little earlier, and a node that takes them for lost empties its cache.
func (s *session) catchUp(heads map[string]head, patience time.Duration) error {
	for until := time.Now().Add(patience); s.lacks(heads) && time.Now().Before(until); {
		if err := s.wait(context.Background(), until); err != nil {
			return err
		}
		if err := s.receive(); err != nil {
			return err
		}
	}
	return nil
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

// tidy removes nodes whose lease is over, so that no writer has to wait for them again. A node that
// renews its lease at the same time keeps its row, or writes it again.
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
		id, name     string
		renewals, ms int64
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &name, &renewals, &ms}, func() error {
		live[id] = newPeer(name, renewals, ms)
		return nil
	})
	return live, err
}
