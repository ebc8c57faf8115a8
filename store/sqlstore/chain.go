package sqlstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

const (
	// sharedChain is the chain of all processes that write to one SQLite file: they take turns.
	sharedChain = "main"
	// chainFormat is hashed first for each event. Another format would have another name.
	chainFormat = "apikeyd-audit-1"
	// operatorName stands for the operator in place of an actor's id.
	operatorName = "operator"
)

// linkHash returns the hash of an event as docs/audit.md defines it: over all its fields and the hash of the
// previous event, each with its length, so that no two lists of fields hash alike. The changes are hashed
// exactly as they are stored.
func linkHash(e *store.Event, changes string, before store.ChainHash) store.ChainHash {
	actor := operatorName
	if !e.Actor.IsZero() {
		actor = e.Actor.String()
	}
	text := make([]byte, 0, 1024)
	for _, field := range [...]string{
		chainFormat, e.Chain, strconv.FormatInt(e.Seq, 10), before.String(),
		e.ID.String(), apikey.Timestamp(e.At).String(), e.Action, e.Key.String(), e.Owner, e.Name, changes,
		actor, e.Via, e.Address, e.RequestID,
	} {
		text = strconv.AppendInt(text, int64(len(field)), 10)
		text = append(text, ':')
		text = append(text, field...)
		text = append(text, ',')
	}
	return sha256.Sum256(text)
}

// LinkHash returns the hash that an event must have, given the hash of the one before it.
func LinkHash(e store.Event, before store.ChainHash) store.ChainHash {
	return linkHash(&e, e.Changes.String(), before)
}

// chainHead is where a chain ends.
type chainHead struct {
	store.Mark
	event apikey.ID // the last one
}

// link gives an event its id, and its place at the end of the writer's chain. It reads the head if that is not
// cached: at first, after a change by another process, and after a rollback.
func (w *writer) link(e *store.Event, changes string) error {
	if w.head == nil {
		head, err := readHead(context.Background(), w, w.chain, w.dialect.rowLock)
		if err != nil {
			return err
		}
		w.head = &head
	}
	e.ID = nextEventID(w.head.event, e.At)
	e.Mark = store.Mark{Chain: w.chain, Seq: w.head.Seq + 1}
	e.Hash = linkHash(e, changes, w.head.Hash)
	*w.head, w.linked = chainHead{e.Mark, e.ID}, true
	return nil
}

// keepHead records the head beside the events, once for all changes of a transaction, so that
// events that are missing at the end show.
func (w *writer) keepHead() error {
	if !w.linked {
		return nil
	}
	return w.exec(`INSERT INTO audit_chains (chain, event_id, seq, hash) VALUES ($1, $2, $3, $4)
		ON CONFLICT (chain) DO UPDATE SET event_id = excluded.event_id, seq = excluded.seq, hash = excluded.hash`,
		w.chain, w.head.event[:], w.head.Seq, w.head.Hash[:])
}

// readHead returns the end of a chain. A chain without a head has no events yet.
func readHead(ctx context.Context, q querier, chain, rowLock string) (chainHead, error) {
	head := chainHead{Mark: store.Mark{Chain: chain}}
	var event, hash []byte
	err := first(ctx, q, `SELECT event_id, seq, hash FROM audit_chains WHERE chain = $1`+rowLock, chain).
		Scan(&event, &head.Seq, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return head, nil
	}
	copy(head.event[:], event)
	copy(head.Hash[:], hash)
	return head, err
}

// nextEventID returns an id for the next event of a chain. It is greater than the last one, whatever the clock
// did, so that ids have the order of the chain; and its time is not before the event's, so that a search for
// events since a time can end at the ids of that time.
func nextEventID(last apikey.ID, at time.Time) apikey.ID {
	id := apikey.NewID()
	setTime(&id, at)
	if bytes.Compare(id[:], last[:]) <= 0 {
		id = last
		// The lower half has room for nearly 2^62 more of the same time.
		binary.BigEndian.PutUint64(id[8:], binary.BigEndian.Uint64(id[8:])+1)
	}
	return id
}

// timeOf returns the time of an id, or the zero time of none.
func timeOf(id []byte) time.Time {
	if len(id) < 6 {
		return time.Time{}
	}
	var ms [8]byte
	copy(ms[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:]))).UTC() //nolint:gosec // 48 bits
}

// setTime sets the time of an id: UUIDv7 has milliseconds in the first 48 bits.
func setTime(id *apikey.ID, at time.Time) {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(0, at.UnixMilli()))<<16)
	copy(id[:6], ms[:])
}
