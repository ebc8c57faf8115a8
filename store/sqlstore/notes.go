package sqlstore

import (
	"context"
	"encoding/hex"

	"apikeyd/apikey"
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
