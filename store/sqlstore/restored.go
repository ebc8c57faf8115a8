package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

// RestoredNote is the name of the note that a database was restored, perhaps without everything that was
// revoked since its backup.
const RestoredNote = "restored"

// Restored says that a database was restored from a backup, and lacks what happened after it.
type Restored struct {
	At          time.Time `json:"at"`
	Knows       time.Time `json:"knows,omitzero"`        // the time of the backup's last event
	ConfirmedAt time.Time `json:"confirmed_at,omitzero"` // when the operator said that the database is reconciled
}

// IsOpen reports whether somebody must still make sure that nothing revoked works again.
func (r Restored) IsOpen() bool { return !r.At.IsZero() && r.ConfirmedAt.IsZero() }

// NoteRestored records that a database was restored.
func (db *DB) NoteRestored(ctx context.Context, r Restored) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *transaction) error {
		return errors.Join(t.forgetSessions(), t.note(RestoredNote, string(text)))
	})
}

// ForgetRestored removes what NoteRestored recorded, because the database was restored again.
func (db *DB) ForgetRestored(ctx context.Context) error {
	return db.write(ctx, func(t *transaction) error { return t.exec(`DELETE FROM notes WHERE name = $1`, RestoredNote) })
}

// Restored returns what NoteRestored recorded last, or the zero Restored.
func (db *DB) Restored(ctx context.Context) (r Restored, err error) {
	err = db.read(ctx, func() error {
		r, err = readRestored(ctx, db.points)
		return err
	})
	return r, err
}

// Restored is DB.Restored.
func (e *Examination) Restored(ctx context.Context) (Restored, error) {
	r, err := readRestored(ctx, e.reads())
	return r, sqlitefile.During(ctx, err)
}

func readRestored(ctx context.Context, q querier) (r Restored, err error) {
	var text string
	// An aggregate: there is a row even without a note.
	err = first(ctx, q, `SELECT coalesce(max(value), '') FROM notes WHERE name = $1`, RestoredNote).Scan(&text)
	if err != nil || text == "" {
		return r, err
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, fmt.Errorf("%w: the note about its restore cannot be read", store.ErrDamaged)
	}
	return r, nil
}

// ErrNotRestored says that there is no restore to confirm.
var ErrNotRestored = errors.New("there is no restore to confirm")

// ConfirmRestored records that an operator made sure that nothing revoked works again. It returns ErrNotRestored
// if there is nothing to confirm.
func (db *DB) ConfirmRestored(ctx context.Context) (Restored, error) {
	r, err := db.Restored(ctx)
	if err != nil {
		return r, err
	}
	if !r.IsOpen() {
		return r, ErrNotRestored
	}
	r.ConfirmedAt = db.now().UTC().Truncate(time.Millisecond)
	return r, db.NoteRestored(ctx, r)
}
