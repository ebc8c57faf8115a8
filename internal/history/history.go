// Package history answers what a key was at an earlier time, from the audit log: was it good then?
package history

import (
	"context"
	"fmt"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// Log has the methods of store.AuditLog that At calls.
type Log interface {
	AuditEvents(ctx context.Context, q store.EventQuery) ([]store.Event, error)
	AuditedSince(ctx context.Context) (time.Time, error)
}

// State is a key at an earlier time.
type State struct {
	*apikey.Past

	// Secret counts the secrets that the key had had by then, from 1, and SecretSince is when the last was made. They
	// are zero if retention removed what says so.
	Secret      int
	SecretSince time.Time

	// Consistent reports whether the changes since then lead to what the key is now. If not, somebody changed the
	// database without its audit log, or the clocks of nodes differ.
	Consistent bool
}

// RemovedError says that retention removed events after the time in question.
type RemovedError struct{ Since time.Time } // the log is complete since then

func (e *RemovedError) Error() string {
	return fmt.Sprintf("the audit log is complete only since %s", e.Since.Format(time.RFC3339))
}

// eventsAtOnce is how many events are read at once.
const eventsAtOnce = 1000

// At returns what a key, as it is now, was at an earlier time, which is not before its creation. It reads all of the
// key's events. The error is the log's, or a *RemovedError.
func At(ctx context.Context, log Log, key apikey.Key, at, now time.Time) (State, error) {
	w := walk{State: State{Past: apikey.NewPast(key, now), Consistent: true}, at: at, born: key.CreatedAt}
	query := store.EventQuery{Key: key.ID, Limit: eventsAtOnce}
	for {
		events, err := log.AuditEvents(ctx, query)
		if err != nil {
			return State{}, err
		}
		for _, event := range events {
			w.add(event)
		}
		if len(events) < eventsAtOnce {
			break
		}
		query.Before = events[len(events)-1].ID
	}
	if !w.created {
		w.Secret = 0 // earlier ones may be missing
		since, err := log.AuditedSince(ctx)
		if err != nil {
			return State{}, err
		}
		if at.Before(since) {
			return State{}, &RemovedError{since}
		}
	}
	return w.State, nil
}

// walk goes through a key's events, the latest first.
type walk struct {
	State
	at, born time.Time

	// Whether such an event was met: a change before at, one of a grace, and the creation.
	changed, grace, created bool
}

func (w *walk) add(e store.Event) {
	if _, notice := e.Changes.Get(apikey.NoticeField); notice {
		return // nothing changed
	}
	switch {
	case e.Action == store.ActionCreate: // its event is a moment later than the key
		w.created = true
		w.Consistent = (w.changed || w.Follows(e.Changes)) && w.Consistent
		w.secret(w.born)
		return
	case e.At.After(w.at):
		w.Consistent = w.Undo(e.Changes) && w.Consistent
		return
	case e.Action == store.ActionRotate:
		w.secret(e.At)
		w.SetRotation(e.At)
	}
	w.changed = w.changed || len(e.Changes) > 0
	if change, ends := e.Changes.Get("grace_ends_at"); ends && !w.grace {
		w.grace = true
		w.SetGrace(change)
	}
}

// secret counts a secret that was made before those that were counted.
func (w *walk) secret(made time.Time) {
	w.Secret++
	if w.SecretSince.IsZero() {
		w.SecretSince = made
	}
}
