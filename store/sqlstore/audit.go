package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"apikeyd/apikey"
	"apikeyd/store"
)

// EventColumns are the names of the columns of audit_events.
const EventColumns = `id, at, action, key_id, owner, name, changes, actor_id, via, address, request_id,
	chain, seq, hash`

// audit writes the event of a key that has changed in this way.
func (m *mutation) audit(action string, key *apikey.Key, changes apikey.Differences) error {
	m.action = action
	event := m.eventOf(action, key)
	return m.insertEvent(&event, changes.String())
}

func (m *mutation) eventOf(action string, key *apikey.Key) store.Event {
	return store.Event{
		At: m.now, Action: action, Key: key.ID, Owner: key.Owner, Name: key.Name,
		Actor: m.actor.Key, Via: m.actor.Via, Address: m.actor.Address, RequestID: m.actor.RequestID,
	}
}

// insertEvent links an event and writes it.
func (w *writer) insertEvent(e *store.Event, changes string) error {
	if err := w.link(e, changes); err != nil {
		return err
	}
	return w.exec(`INSERT INTO audit_events (`+EventColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		e.ID[:], millis(e.At), e.Action, e.Key[:], e.Owner, e.Name, changes, nullID(e.Actor), e.Via, e.Address,
		e.RequestID, e.Chain, e.Seq, e.Hash[:])
}

// AuditEvents implements store.AuditLog.
func (db *DB) AuditEvents(ctx context.Context, q store.EventQuery) ([]store.Event, error) {
	var events []store.Event
	err := db.scan(ctx, func() (err error) {
		events, err = listEvents(ctx, db.reader, q)
		return err
	})
	return events, err
}

// AuditedSince implements store.AuditLog.
func (db *DB) AuditedSince(ctx context.Context) (since time.Time, err error) {
	err = db.read(ctx, func() error {
		return db.points.each(ctx, func(r row) error {
			var last []byte
			err := r.Scan(&last)
			since = timeOf(last) // never earlier than its event's
			return err
		}, `SELECT event_id FROM audit_anchors ORDER BY event_id DESC LIMIT 1`)
	})
	return since, err
}

func listEvents(ctx context.Context, q querier, query store.EventQuery) ([]store.Event, error) {
	where := eventConditions(query)
	return readEvents(ctx, q, `SELECT `+EventColumns+` FROM audit_events`+where.sql()+
		` ORDER BY id DESC LIMIT `+where.arg(query.Limit), where.args...)
}

func eventConditions(q store.EventQuery) *conditions {
	c := &conditions{}
	if !q.Key.IsZero() {
		c.add(`key_id = ` + c.arg(q.Key[:]))
	}
	if q.Owner != "" {
		c.add(`owner = ` + c.arg(q.Owner))
	}
	if !q.Actor.IsZero() {
		c.add(`actor_id = ` + c.arg(q.Actor[:]))
	}
	if q.Operator {
		c.add(`actor_id IS NULL`)
	}
	if q.Action != "" {
		c.add(`action = ` + c.arg(q.Action))
	}
	if !q.Since.IsZero() {
		// An id is never of an earlier time than its event: the search can end there.
		var first apikey.ID
		setTime(&first, q.Since)
		c.add(`at >= ` + c.instant(q.Since) + ` AND id >= ` + c.arg(first[:]))
	}
	if !q.Until.IsZero() {
		c.add(`at < ` + c.instant(q.Until))
	}
	if !q.Before.IsZero() {
		c.add(`id < ` + c.arg(q.Before[:]))
	}
	return c
}

// eventsAtOnce is how many events are read at once while a caller walks through all.
const eventsAtOnce = 1000

// EachEvent implements store.AuditLog. It keeps no query open while its caller handles
// events; what retention removes meanwhile is missing.
func (db *DB) EachEvent(ctx context.Context, since time.Time, do func(store.Event) error) error {
	var last apikey.ID
	if !since.IsZero() {
		setTime(&last, since) // an id is never of an earlier time than its event
	}
	for {
		var events []store.Event
		err := db.read(ctx, func() (err error) {
			events, err = db.eventsAfter(ctx, last)
			return err
		})
		if err != nil || len(events) == 0 {
			return err
		}
		last = events[len(events)-1].ID
		for _, event := range events {
			if event.At.Before(since) {
				continue
			}
			if err := do(event); err != nil {
				return err
			}
		}
	}
}

func (db *DB) eventsAfter(ctx context.Context, last apikey.ID) ([]store.Event, error) {
	return readEvents(ctx, db.reader,
		`SELECT `+EventColumns+` FROM audit_events WHERE id > $1 ORDER BY id LIMIT $2`, last[:], eventsAtOnce)
}

func readEvents(ctx context.Context, q querier, query string, args ...any) ([]store.Event, error) {
	events := []store.Event{}
	err := q.each(ctx, func(r row) error {
		event, changes, err := scanEvent(r)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(changes), &event.Changes); err != nil {
			return fmt.Errorf("%w: the changes of audit event %s cannot be read", store.ErrDamaged, event.ID)
		}
		events = append(events, event)
		return nil
	}, query, args...)
	return events, err
}

// scanEvent reads EventColumns from a row, the changes as they are stored. It accepts exactly what was written: no
// alteration may be lost here.
func scanEvent(r row) (event store.Event, changes string, err error) {
	var (
		id, key, actor, hash []byte
		at                   sql.NullInt64
	)
	err = r.Scan(&id, &at, &event.Action, &key, &event.Owner, &event.Name, &changes, &actor,
		&event.Via, &event.Address, &event.RequestID, &event.Chain, &event.Seq, &hash)
	if err != nil {
		return event, "", err
	}
	event.At = fromMillis(at)
	for _, part := range []struct {
		name     string
		to, from []byte
	}{
		{"id", event.ID[:], id}, {"key_id", event.Key[:], key}, {"actor_id", event.Actor[:], actor}, {"hash", event.Hash[:], hash},
	} {
		if part.name == "actor_id" && actor == nil {
			continue
		}
		if copy(part.to, part.from) != len(part.to) || len(part.from) != len(part.to) {
			err = errors.Join(err, fmt.Errorf("the %s of audit event %d has %d bytes", part.name, event.Seq, len(part.from)))
		}
	}
	if actor != nil && event.Actor.IsZero() {
		err = errors.Join(err, fmt.Errorf("the actor of audit event %d is nobody", event.Seq))
	}
	return event, changes, err
}
