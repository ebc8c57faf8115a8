package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"apikeyd/apikey"
	"apikeyd/store"
)

// CarryOverEvents is CarryOver from the audit events after the backup, oldest first; earlier events may be among
// them. An event says that a key was rotated but not which secret it has, so such a key is revoked. Events that
// do not continue the backup's own chain are refused.
func (db *DB) CarryOverEvents(
	ctx context.Context, actor store.Actor, events iter.Seq2[store.Event, error],
) (CarriedOver, error) {
	var done CarriedOver
	head, err := db.mainHead(ctx)
	if err != nil {
		return done, err
	}
	chain := continuation{backup: head, Mark: head}
	replay := replay{
		db: db, keys: make(map[apikey.ID]apikey.Key), rotated: make(map[apikey.ID]bool), owners: make(map[string]apikey.OwnerSettings),
	}
	for event, err := range events {
		if err != nil {
			return done, err
		}
		isNew, err := chain.follow(event)
		if err != nil {
			return done, err
		}
		if isNew {
			if err := replay.apply(ctx, event); err != nil {
				return done, err
			}
		}
	}
	if !chain.met {
		return done, ErrEarlier
	}
	done.Unknown, done.Lost = replay.created, len(replay.rotated)
	var ended []apikey.Key
	for id, later := range replay.keys {
		before, err := db.Key(ctx, store.ByID(id))
		if err != nil {
			return done, err
		}
		if done.add(before, endedBy(before, later)) {
			ended = append(ended, later)
		}
	}
	if err := db.endAll(ctx, actor, ended); err != nil {
		return done, err
	}
	for name, later := range replay.owners {
		if err := db.narrow(ctx, actor, apikey.Owner{Name: name, OwnerSettings: later}, &done); err != nil {
			return done, err
		}
	}
	return done, nil
}

// mainHead returns the end of the chain of a SQLite database.
func (db *DB) mainHead(ctx context.Context) (head store.Mark, err error) {
	err = db.read(ctx, func() error {
		h, err := readHead(ctx, db.points, sharedChain, "")
		head = h.Mark
		return err
	})
	return head, err
}

// continuation checks that events continue a backup's chain without a gap.
type continuation struct {
	store.Mark            // the last event so far
	backup     store.Mark // the backup's last event
	met        bool       // whether the backup's last event or a later one was seen
}

// follow reports whether an event is newer than the backup.
func (c *continuation) follow(e store.Event) (bool, error) {
	if e.Chain != c.Chain || e.Seq < c.backup.Seq {
		return false, nil
	}
	c.met = true
	if e.Seq == c.backup.Seq {
		if e.Hash != c.backup.Hash {
			return false, fmt.Errorf("its event %d is not the one in the backup, so it is another database's", e.Seq)
		}
		return false, nil
	}
	if e.Seq != c.Seq+1 {
		return false, fmt.Errorf("event %d does not follow event %d: some are missing", e.Seq, c.Seq)
	}
	if linkHash(&e, e.Changes.String(), c.Hash) != e.Hash {
		return false, fmt.Errorf("event %d does not continue the backup's audit log, or was altered", e.Seq)
	}
	c.Mark = e.Mark
	return true, nil
}

// replay applies events to the keys of a backup, as far as events say what changed.
type replay struct {
	db      *DB
	keys    map[apikey.ID]apikey.Key
	rotated map[apikey.ID]bool
	owners  map[string]apikey.OwnerSettings
	created int
}

// applyToOwner applies the event of an owner.
func (r *replay) applyToOwner(ctx context.Context, e store.Event) error {
	s, is := r.owners[e.Owner]
	if !is {
		var err error
		if s, _, err = r.db.OwnerSettings(ctx, e.Owner); err != nil {
			return err
		}
	}
	enabled := !s.Suspended
	for field, to := range map[string]any{
		"enabled": &enabled, "max_keys": &s.MaxKeys, "rate_limit": &s.RateLimit, "quota": &s.Quota, "allowed_cidrs": &s.AllowedCIDRs,
	} {
		change, changed := e.Changes.Get(field)
		if !changed {
			continue
		}
		reflect.ValueOf(to).Elem().SetZero() // for a limit that was removed
		if change.To == nil {
			continue
		}
		if err := json.Unmarshal(change.To, to); err != nil {
			return fmt.Errorf("event %d: %s: %w", e.Seq, field, err)
		}
	}
	s.Suspended = !enabled
	r.owners[e.Owner] = s
	return nil
}

func (r *replay) apply(ctx context.Context, e store.Event) error {
	if e.Action == store.ActionUpdateOwner {
		return r.applyToOwner(ctx, e)
	}
	key, is := r.keys[e.Key]
	if !is {
		var err error
		key, err = r.db.Key(ctx, store.ByID(e.Key))
		if errors.Is(err, store.ErrNotFound) { // created after the backup
			if e.Action == store.ActionCreate {
				r.created++
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
	if e.Action == store.ActionRotate {
		r.rotated[e.Key] = true
		key = key.Revoke(e.At, apikey.ReasonUnspecified)
	}
	if grace, ended := e.Changes.Get("grace_ends_at"); ended && grace.To == nil {
		key = key.EndGrace()
	}
	var revoked, expires apikey.Timestamp
	var reason apikey.Reason
	enabled := !key.Suspended
	if networks, changed := e.Changes.Get("allowed_cidrs"); changed && networks.To == nil {
		key.AllowedCIDRs = nil
	}
	for field, to := range map[string]any{
		"revoked_at": &revoked, "revocation_reason": &reason, "enabled": &enabled,
		"expires_at": &expires, "scopes": &key.Scopes, "allowed_cidrs": &key.AllowedCIDRs,
	} {
		change, _ := e.Changes.Get(field)
		if change.To == nil {
			continue
		}
		if err := json.Unmarshal(change.To, to); err != nil {
			return fmt.Errorf("event %d: %s: %w", e.Seq, field, err)
		}
	}
	key.Suspended = !enabled
	if !revoked.Time().IsZero() {
		key = key.Revoke(revoked.Time(), reason)
	}
	if !expires.Time().IsZero() {
		key.ExpiresAt = expires.Time()
	}
	r.keys[e.Key] = key
	return nil
}
