package sqlstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
	"apikeyd/store/sqlitefile"
)

// firstKeyNote begins the name of the note about a first key that is about to be created. The
// hash of its secret follows.
const firstKeyNote = "first key "

func firstKeyNoteOf(secret apikey.Hash) string { return firstKeyNote + hex.EncodeToString(secret[:]) }

// NoteFirstKey records that a first key with this secret is about to be created. When it
// returns, the note is durable.
func (db *DB) NoteFirstKey(ctx context.Context, secret apikey.Hash) error {
	return db.write(ctx, func(t *transaction) error { return t.note(firstKeyNoteOf(secret), "") })
}

// IsFirstKeyNoted reports whether NoteFirstKey was called with this secret, and
// ForgetFirstKeys was not called since.
func (db *DB) IsFirstKeyNoted(ctx context.Context, secret apikey.Hash) (noted bool, err error) {
	err = db.read(ctx, func() error {
		return first(ctx, db.points, `SELECT count(*) > 0 FROM notes WHERE name = $1`,
			firstKeyNoteOf(secret)).Scan(&noted)
	})
	return noted, err
}

// ForgetFirstKeys removes all nodes' notes about a first key, once there is one.
func (db *DB) ForgetFirstKeys(ctx context.Context) error {
	return db.write(ctx, (*transaction).forgetFirstKeys)
}

func (t *transaction) forgetFirstKeys() error {
	return t.exec(`DELETE FROM notes WHERE name LIKE $1`, firstKeyNote+"%")
}

func (t *transaction) note(name, value string) error {
	return t.exec(`INSERT INTO notes (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
}

// backupNote is the name of the note about the last backup: the time at which it was begun.
const backupNote = "last backup"

// NoteBackup records that a backup of a file was made which has everything that was acknowledged before a time. A
// server that runs meanwhile empties its cache once, as it does after any change by another process. A file that is
// not in WAL mode stays as it is: nobody has served it, and it may itself be a backup, whose seal a change would break.
func NoteBackup(ctx context.Context, path string, at time.Time) (err error) {
	e, err := Examine(ctx, path)
	if err != nil {
		return err
	}
	served, err := e.IsWAL(ctx)
	if err = errors.Join(err, e.Close()); err != nil || !served {
		return err
	}
	db, err := Open(ctx, Options{Path: path})
	if err != nil {
		return err
	}
	return errors.Join(db.noteBackup(ctx, at), db.Close())
}

func (db *DB) noteBackup(ctx context.Context, at time.Time) error {
	return db.write(ctx, func(t *transaction) error { return t.note(backupNote, apikey.Timestamp(at).String()) })
}

// LastBackup returns the time that NoteBackup recorded last, or the zero time.
func (db *DB) LastBackup(ctx context.Context) (at time.Time, err error) {
	err = db.read(ctx, func() error {
		at, err = readLastBackup(ctx, db.points)
		return err
	})
	return at, err
}

// LastBackup is DB.LastBackup.
func (e *Examination) LastBackup(ctx context.Context) (time.Time, error) {
	at, err := readLastBackup(ctx, e.reads())
	return at, sqlitefile.During(ctx, err)
}

func readLastBackup(ctx context.Context, q querier) (at time.Time, err error) {
	var text string
	// An aggregate: there is a row even without a note.
	err = first(ctx, q, `SELECT coalesce(max(value), '') FROM notes WHERE name = $1`, backupNote).Scan(&text)
	if err != nil || text == "" {
		return at, err
	}
	noted, err := apikey.ParseTimestamp(text)
	if err != nil {
		return at, fmt.Errorf("%w: the note about its last backup cannot be read", store.ErrDamaged)
	}
	return time.Time(noted), nil
}
