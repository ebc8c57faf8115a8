package sqlstore

import (
	"context"
	"time"
)

const (
	// prunedAtOnce is how many events one transaction removes: few enough that waiting changes hardly notice.
	prunedAtOnce = 128
	// prunedSpan is how much time the events that one call removes may span.
	prunedSpan = 24 * time.Hour
)

// PruneEvents implements store.AuditLog.
func (db *DB) PruneEvents(ctx context.Context, before time.Time) (removed int, err error) {
	var chains []string
	err = db.read(ctx, func() (err error) {
		chains, err = listChains(ctx, db.points)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, chain := range chains {
		n, err := db.pruneChain(ctx, chain, before)
		removed += n
		if err != nil {
			return removed, db.condition.during(ctx, err)
		}
	}
	return removed, nil
}

func listChains(ctx context.Context, q querier) (chains []string, err error) {
	err = q.each(ctx, func(r row) error {
		var chain string
		err := r.Scan(&chain)
		chains = append(chains, chain)
		return err
	}, `SELECT chain FROM audit_chains ORDER BY chain`)
	return chains, err
}

func (db *DB) pruneChain(ctx context.Context, chain string, before time.Time) (removed int, err error) {
	var oldest []oldEvent
	err = db.read(ctx, func() (err error) {
		oldest, err = oldestEvents(ctx, db.points, chain, 1)
		return err
	})
	if err != nil || len(oldest) == 0 {
		return 0, err
	}
	if end := oldest[0].at.Add(prunedSpan); end.Before(before) {
		before = end
	}
	for {
		n := 0
		err := db.writer.background(ctx, func(t *transaction) (err error) {
			n, err = t.prune(chain, before, db.now())
			return err
		})
		removed += n
		if err != nil || n < prunedAtOnce {
			return removed, err
		}
	}
}

// prune removes the oldest events of a chain, up to the first that is not before that time or that an enabled
// webhook has not got, and makes the last of them the chain's anchor.
func (t *transaction) prune(chain string, before, now time.Time) (int, error) {
	events, err := oldestEvents(context.Background(), t, chain, prunedAtOnce)
	if err != nil {
		return 0, err
	}
	isDelivered, err := t.deliveredToAll(chain)
	if err != nil {
		return 0, err
	}
	n := 0
	for n < len(events) && events[n].at.Before(before) && isDelivered(events[n].id) {
		n++
	}
	if n == 0 {
		return 0, nil
	}
	anchor := events[n-1]
	err = t.exec(`INSERT INTO audit_anchors (chain, event_id, seq, hash, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (chain) DO UPDATE SET event_id = excluded.event_id, seq = excluded.seq, hash = excluded.hash,
			at = excluded.at`,
		chain, anchor.id, anchor.seq, anchor.hash, millis(now))
	if err != nil {
		return 0, err
	}
	return n, t.exec(`DELETE FROM audit_events WHERE chain = $1 AND id <= $2`, chain, anchor.id)
}

// oldEvent is what retention needs of an event.
type oldEvent struct {
	id, hash []byte
	seq      int64
	at       time.Time
}

// oldestEvents returns the first remaining events of a chain.
func oldestEvents(ctx context.Context, q querier, chain string, limit int) (events []oldEvent, err error) {
	err = q.each(ctx, func(r row) error {
		var event oldEvent
		err := r.Scan(&event.id, &event.hash, &event.seq, timeColumn{&event.at})
		events = append(events, event)
		return err
	}, `SELECT id, hash, seq, at FROM audit_events WHERE chain = $1 ORDER BY id LIMIT $2`, chain, limit)
	return events, err
}
