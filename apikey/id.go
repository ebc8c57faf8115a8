package apikey

import (
	"encoding/hex"
	"errors"

	"github.com/google/uuid"
)

// ID identifies a key and never changes. It is a UUIDv7 (RFC 9562, section 5.7), so ids sort by creation.
// The zero ID identifies no key.
type ID uuid.UUID

// ErrNotID says that a text is not an id.
var ErrNotID = errors.New("not an id")

// NewID returns a new id, greater than all earlier ids of this process.
func NewID() ID {
	// It fails only if the random source does, and crypto/rand never does.
	return ID(uuid.Must(uuid.NewV7()))
}

// ParseID reads only the 8-4-4-4-12 form, in either case and of any UUID version. It returns ErrNotID for
// other text.
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

// AppendText appends what String returns.
func (id ID) AppendText(b []byte) ([]byte, error) {
	b = hex.AppendEncode(b, id[:4])
	for _, part := range [...][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		b = hex.AppendEncode(append(b, '-'), part)
	}
	return b, nil
}

// MarshalText returns what String returns, for JSON and logs too.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// IsZero reports whether id is zero.
func (id ID) IsZero() bool { return id == ID{} }

func (id ID) isV7() bool {
	u := uuid.UUID(id)
	return u.Version() == 7 && u.Variant() == uuid.RFC4122
}
