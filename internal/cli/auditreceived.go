package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"apikeyd/internal/auditline"
	"apikeyd/store"
	"apikeyd/store/sqlstore"
)

// received is what a receiver of webhooks has kept.
type received struct {
	events []store.Event // by chain and number, each once
	faults []string
}

// readReceived reads a receiver's log: bodies of deliveries, or the data in them, in any order and as often as they came.
func readReceived(path string) (r received, err error) {
	file, err := os.Open(path)
	if err != nil {
		return r, fmt.Errorf("--received: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was read
	decoder := json.NewDecoder(file)
	for n := 1; ; n++ {
		var line struct {
			auditline.Line
			Data *auditline.Line `json:"data"`
		}
		err := decoder.Decode(&line)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && line.Data != nil {
			line.Line = *line.Data
		}
		var event store.Event
		if err == nil {
			event, err = line.Event()
		}
		if err != nil {
			return r, fmt.Errorf("--received: event %d of %s cannot be read: %w", n, path, err)
		}
		r.events = append(r.events, event)
	}
	slices.SortStableFunc(r.events, func(a, b store.Event) int {
		return cmp.Or(cmp.Compare(a.Chain, b.Chain), cmp.Compare(a.Seq, b.Seq))
	})
	r.events = slices.CompactFunc(r.events, func(a, b store.Event) bool { return a.Mark == b.Mark && a.ID == b.ID })
	r.check()
	return r, nil
}

// check finds what is missing or altered between the first and the last event of each chain.
func (r *received) check() {
	for i := 1; i < len(r.events); i++ {
		before, e := r.events[i-1], r.events[i]
		switch {
		case e.Chain != before.Chain:
		case e.Seq == before.Seq:
			r.faults = append(r.faults, fmt.Sprintf("event %d of chain %s was received in two forms", e.Seq, e.Chain))
		case e.Seq != before.Seq+1:
			r.faults = append(r.faults, fmt.Sprintf("events %d to %d of chain %s were not received", before.Seq+1, e.Seq-1, e.Chain))
		case sqlstore.LinkHash(e, before.Hash) != e.Hash:
			r.faults = append(r.faults, fmt.Sprintf("event %d of chain %s, or the one before it, was altered", e.Seq, e.Chain))
		}
	}
}

// marks are the last event of each chain, which must be part of the log.
func (r *received) marks() (last []store.Mark) {
	for i, e := range r.events {
		if i+1 == len(r.events) || r.events[i+1].Chain != e.Chain {
			last = append(last, e.Mark)
		}
	}
	return last
}
