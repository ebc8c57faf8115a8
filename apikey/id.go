package apikey

import (
	"errors"

	"github.com/google/uuid"
)

// ID names a key for ever. It is a UUIDv7 (RFC 9562, section 5.7), so ids sort by
// creation. The zero ID names no key.
type ID uuid.UUID

// ErrNotID says that a text is not an id.
var ErrNotID = errors.New("not an id")

// NewID returns a new id, greater than every id this process made before.
func NewID() ID {
	// The error is that of the random source, which crypto/rand never reports.
	return ID(uuid.Must(uuid.NewV7()))
}

// ParseID reads the 8-4-4-4-12 form, in either case and of any UUID version, and
// no other form. It returns ErrNotID otherwise.
func ParseID(s string) (ID, error) {
	if len(s) != 36 {
		return ID{}, ErrNotID
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return ID{}, ErrNotID
	}
	return ID(id), nil
}

// String returns the 8-4-4-4-12 form in lower case.
func (id ID) String() string { return uuid.UUID(id).String() }

// IsZero reports whether id names no key.
func (id ID) IsZero() bool { return id == ID{} }

func (id ID) isV7() bool {
	u := uuid.UUID(id)
	return u.Version() == 7 && u.Variant() == uuid.RFC4122
}
