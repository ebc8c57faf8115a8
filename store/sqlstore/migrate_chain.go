package sqlstore

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"apikeyd/apikey"
	"apikeyd/store"
)

// chainSchema puts audit events into chains. It is a migration in Go, because SQL cannot hash
// existing events.
const chainSchema = `
ALTER TABLE audit_events RENAME TO audit_events_unchained;

CREATE TABLE audit_events (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16), -- UUIDv7, in the order of the chain
    at         INTEGER NOT NULL,
    action     TEXT    NOT NULL,
    key_id     BLOB    NOT NULL CHECK (length(key_id) = 16),
    owner      TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    changes    TEXT    NOT NULL, -- JSON: from and to, by field
    actor_id   BLOB    CHECK (length(actor_id) = 16), -- NULL is the operator
    via        TEXT    NOT NULL,
    address    TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    chain      TEXT    NOT NULL,
    seq        INTEGER NOT NULL CHECK (seq > 0), -- in its chain, without gaps
    hash       BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT, WITHOUT ROWID;

-- The events of one key, newest first.
CREATE INDEX audit_events_key ON audit_events (key_id);

-- The head of each chain, so that events missing at its end show.
CREATE TABLE audit_chains (
    chain    TEXT    NOT NULL PRIMARY KEY,
    event_id BLOB    NOT NULL CHECK (length(event_id) = 16),
    seq      INTEGER NOT NULL,
    hash     BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT, WITHOUT ROWID;

INSERT INTO audit_chains (chain, event_id, seq, hash) VALUES ('main', zeroblob(16), 0, zeroblob(32));

-- The last event of each chain that retention removed.
CREATE TABLE audit_anchors (
    chain    TEXT    NOT NULL PRIMARY KEY,
    event_id BLOB    NOT NULL CHECK (length(event_id) = 16),
    seq      INTEGER NOT NULL,
    hash     BLOB    NOT NULL CHECK (length(hash) = 32),
    at       INTEGER NOT NULL -- when it was removed
) STRICT, WITHOUT ROWID;
`

// chainTriggers keep the log append-only, except for events before an anchor.
const chainTriggers = `
CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events is append-only');
END;

CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
WHEN NOT EXISTS (SELECT 1 FROM audit_anchors WHERE chain = OLD.chain AND seq >= OLD.seq)
BEGIN
    SELECT RAISE(ABORT, 'audit_events is append-only');
END;

-- REPLACE deletes without asking the trigger above.
CREATE TRIGGER audit_events_no_replace BEFORE INSERT ON audit_events
WHEN EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'audit_events is append-only');
END;

CREATE TRIGGER audit_chains_forward BEFORE UPDATE ON audit_chains
WHEN NEW.chain <> OLD.chain OR NEW.seq <= OLD.seq
BEGIN
    SELECT RAISE(ABORT, 'a chain only grows');
END;

CREATE TRIGGER audit_chains_no_delete BEFORE DELETE ON audit_chains
BEGIN
    SELECT RAISE(ABORT, 'a chain only grows');
END;

-- An anchor is an event that is there until then.
CREATE TRIGGER audit_anchors_insert BEFORE INSERT ON audit_anchors
WHEN NOT EXISTS (SELECT 1 FROM audit_events
    WHERE id = NEW.event_id AND chain = NEW.chain AND seq = NEW.seq AND hash = NEW.hash)
BEGIN
    SELECT RAISE(ABORT, 'an anchor must be an event');
END;

CREATE TRIGGER audit_anchors_forward BEFORE UPDATE ON audit_anchors
WHEN NEW.chain <> OLD.chain OR NEW.seq <= OLD.seq
    OR NOT EXISTS (SELECT 1 FROM audit_events
        WHERE id = NEW.event_id AND chain = NEW.chain AND seq = NEW.seq AND hash = NEW.hash)
BEGIN
    SELECT RAISE(ABORT, 'an anchor only moves forward, to an event');
END;

CREATE TRIGGER audit_anchors_no_delete BEFORE DELETE ON audit_anchors
BEGIN
    SELECT RAISE(ABORT, 'an anchor stays');
END;
`

// chainEvents is the migration: it links the existing events, oldest first. The values of their changes are not
// known.
func chainEvents(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, chainSchema); err != nil {
		return err
	}
	head := chainHead{Mark: store.Mark{Chain: sharedChain}}
	for last := []byte{}; ; {
		events, err := unchained(ctx, tx, last)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			if head, err = insertChained(ctx, tx, e, head); err != nil {
				return err
			}
			last = e.id
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE audit_chains SET event_id = $1, seq = $2, hash = $3`,
		head.event[:], head.Seq, head.Hash[:])
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DROP TABLE audit_events_unchained;`+chainTriggers)
	return err
}

// unchainedEvent is an event as it was before there were chains.
type unchainedEvent struct {
	id, key, actor                             []byte
	at                                         int64
	action, owner, name, changed, via, request string
}

// unchained reads some events after an id.
func unchained(ctx context.Context, tx *sql.Tx, after []byte) (events []unchainedEvent, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, at, action, key_id, owner, name, changed, actor_id, via, request_id
		FROM audit_events_unchained WHERE id > $1 ORDER BY id LIMIT $2`, after, eventsAtOnce)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var e unchainedEvent
		err := rows.Scan(&e.id, &e.at, &e.action, &e.key, &e.owner, &e.name, &e.changed, &e.actor, &e.via, &e.request)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, rows.Err()
}

// insertChained writes an event after the head of its chain, and returns the new head.
func insertChained(ctx context.Context, tx *sql.Tx, old unchainedEvent, head chainHead) (chainHead, error) {
	event := store.Event{
		At: fromMillis(sql.NullInt64{Int64: old.at, Valid: true}), Action: old.action, Owner: old.owner,
		Name: old.name, Via: old.via, RequestID: old.request,
		Mark: store.Mark{Chain: head.Chain, Seq: head.Seq + 1},
	}
	copy(event.ID[:], old.id)
	copy(event.Key[:], old.key)
	copy(event.Actor[:], old.actor)
	var changes apikey.Differences
	for _, field := range slices.Sorted(slices.Values(strings.Fields(old.changed))) {
		changes = append(changes, apikey.Difference{Field: field})
	}
	text := changes.String()
	event.Hash = linkHash(&event, text, head.Hash)
	_, err := tx.ExecContext(ctx, `INSERT INTO audit_events (`+EventColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		event.ID[:], old.at, event.Action, event.Key[:], event.Owner, event.Name, text, nullID(event.Actor),
		event.Via, event.Address, event.RequestID, event.Chain, event.Seq, event.Hash[:])
	return chainHead{event.Mark, event.ID}, err
}
