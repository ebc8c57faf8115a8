package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"apikeyd/store"
)

// maxFaults bounds how many faults of a chain are listed.
const maxFaults = 20

// VerifyAudit implements store.AuditLog.
func (db *DB) VerifyAudit(ctx context.Context, expected ...store.Mark) ([]store.ChainReport, error) {
	var reports []store.ChainReport
	err := db.scan(ctx, func() (err error) {
		reports, err = verifyChains(ctx, db.reader, db.dialect.chain, expected)
		return err
	})
	return reports, err
}

func verifyChains(
	ctx context.Context, from pool, chain string, expected []store.Mark,
) ([]store.ChainReport, error) {
	chains := make(chainChecks)
	// One state, so that events, heads and anchors agree. No writer waits for it.
	err := from.snapshot(ctx, func(q querier) error {
		if err := chains.marks(ctx, q); err != nil {
			return err
		}
		if chain != "" {
			chains.of(chain) // reported as missing if all of it is gone
		}
		for _, mark := range expected {
			c := chains.of(mark.Chain)
			c.expected[mark.Seq] = append(c.expected[mark.Seq], mark.Hash)
		}
		return chains.events(ctx, q)
	})
	if err != nil {
		return nil, err
	}
	var reports []store.ChainReport
	for _, chain := range slices.Sorted(maps.Keys(chains)) {
		chains[chain].end()
		reports = append(reports, chains[chain].ChainReport)
	}
	return reports, nil
}

// chainChecks are the checks of all chains, by name.
type chainChecks map[string]*chainCheck

// chainCheck verifies one chain.
type chainCheck struct {
	store.ChainReport
	expected map[int64][]store.ChainHash // from an outside record, by number
	last     store.Mark                  // of the previous event
	began    bool
	headed   bool // its head was there
}

// of returns the check of a chain, and creates it if there is none.
func (all chainChecks) of(chain string) *chainCheck {
	c := all[chain]
	if c == nil {
		none := store.Mark{Chain: chain}
		c = &chainCheck{ChainReport: store.ChainReport{Head: none, Anchor: none}, last: none,
			expected: make(map[int64][]store.ChainHash)}
		all[chain] = c
	}
	return c
}

// marks reads the heads, and the anchors after which chains begin.
func (all chainChecks) marks(ctx context.Context, q querier) error {
	return q.each(ctx, func(r row) error {
		var (
			mark     store.Mark
			hash     []byte
			anchored sql.NullInt64
		)
		if err := r.Scan(&mark.Chain, &mark.Seq, &hash, &anchored); err != nil {
			return err
		}
		copy(mark.Hash[:], hash)
		c := all.of(mark.Chain)
		if anchored.Valid {
			c.Anchor, c.AnchoredAt, c.last = mark, fromMillis(anchored), mark
		} else {
			c.Head, c.headed = mark, true
		}
		return nil
	}, `SELECT chain, seq, hash, NULL FROM audit_chains
		UNION ALL SELECT chain, seq, hash, at FROM audit_anchors`)
}

// events checks all events in the order of their ids, which is the order of each chain.
func (all chainChecks) events(ctx context.Context, q querier) error {
	return q.each(ctx, func(r row) error {
		event, changes, err := scanEvent(r)
		c := all.of(event.Chain)
		if err != nil {
			c.fault("after event %d one cannot be read: %v", c.last.Seq, err)
		}
		c.event(&event, changes)
		return nil
	}, `SELECT `+EventColumns+` FROM audit_events ORDER BY id`)
}

// event checks that an event follows the one before it. The next one is compared with what this event says of
// itself, so that one fault is reported once.
func (c *chainCheck) event(e *store.Event, changes string) {
	c.begin()
	c.Events++
	switch next := c.last.Seq + 1; {
	case e.Seq <= c.Anchor.Seq:
		c.fault("event %d (%s) stands before the anchor: it was altered or inserted", e.Seq, e.ID)
	case e.Seq < next:
		c.fault("event %d (%s) stands after event %d: one was altered, moved or inserted", e.Seq, e.ID, c.last.Seq)
	case e.Seq == next+1:
		c.fault("event %d is missing", next)
	case e.Seq > next:
		c.fault("events %d to %d are missing", next, e.Seq-1)
	case linkHash(e, changes, c.last.Hash) != e.Hash:
		c.fault("event %d (%s) does not have the hash of what it says and of the event before it: "+
			"one of the two was altered, moved or inserted", e.Seq, e.ID)
	}
	c.compare(e.Mark)
	c.last = e.Mark
}

// begin compares the anchor with the outside record, once.
func (c *chainCheck) begin() {
	if !c.began {
		c.began = true
		c.compare(c.Anchor)
	}
}

// compare compares a mark with the outside record.
func (c *chainCheck) compare(mark store.Mark) {
	for _, hash := range c.expected[mark.Seq] {
		if hash != mark.Hash {
			c.fault("event %d has the hash %s, and not the one that is expected: "+
				"it or some event up to it was altered since it was recorded", mark.Seq, mark.Hash)
		}
	}
	delete(c.expected, mark.Seq)
}

// end compares the last event with the head, and with what is left of the outside record.
func (c *chainCheck) end() {
	c.begin()
	switch {
	case c.last.Seq < c.Head.Seq:
		c.fault("events %d to %d are missing at the end", c.last.Seq+1, c.Head.Seq)
	case c.last.Seq > c.Head.Seq:
		c.fault("the head is event %d, and not the last one, %d: events were added, or the head was altered",
			c.Head.Seq, c.last.Seq)
	case c.last.Hash != c.Head.Hash:
		c.fault("event %d, the last, does not have the hash of the head: one of them was altered", c.last.Seq)
	case !c.headed && len(c.expected) == 0: // else each expected mark is a fault
		c.fault("there is no event, and no head: all was removed")
	}
	for _, seq := range slices.Sorted(maps.Keys(c.expected)) {
		if seq < c.Anchor.Seq {
			c.fault("event %d is expected, and was removed by retention: nothing can be said of it; "+
				"record heads more often than that", seq)
		} else {
			c.fault("event %d is expected, and the chain ends at %d: what came after was removed", seq, c.last.Seq)
		}
	}
}

func (c *chainCheck) fault(format string, args ...any) {
	if len(c.Faults) < maxFaults {
		c.Faults = append(c.Faults, fmt.Sprintf(format, args...))
	}
}
