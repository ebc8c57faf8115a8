package store

import (
	"context"
	"time"

	"apikeyd/apikey"
)

// Owners keeps the owners of keys. An owner exists from its first key or its first change on.
type Owners interface {
	// OwnerSettings returns an owner's settings: the zero OwnerSettings unless it was changed. If not even
	// one owner was changed, none is true.
	OwnerSettings(ctx context.Context, name string) (settings apikey.OwnerSettings, none bool, err error)

	// Owner returns an owner with its keys' counts at some time. It reads all of the owner's keys. It
	// returns ErrNoOwner if there is no such owner.
	Owner(ctx context.Context, name string, at time.Time) (OwnerState, error)

	// Owners returns one page of owners, in the order of their names' bytes. It reads all of their keys.
	Owners(ctx context.Context, q OwnerQuery) (OwnerPage, error)

	// Room returns how many keys more an owner may get, as of some time, if it has a bound of its own.
	Room(ctx context.Context, name string, at time.Time) (room int, bounded bool, err error)

	// UpdateOwner changes an owner and returns it as it is afterwards. A change that changes nothing writes
	// nothing, so it returns ErrNoOwner if there is no such owner. It also returns ErrActorGone or a
	// *apikey.DeniedError.
	UpdateOwner(ctx context.Context, actor Actor, name string, change apikey.OwnerChange) (apikey.Owner, error)
}

// OwnerState is an owner with counts of its keys and their last use.
type OwnerState struct {
	apikey.Owner
	Keys       KeyCounts
	LastUsedAt time.Time // of all its keys; zero if none was used
}

// KeyCounts counts keys by their status.
type KeyCounts struct {
	Active, Expired, Revoked int

	Suspended int // they or their owner; Revoked includes them
}

// OwnerQuery selects owners. A filter with its zero value matches every owner.
type OwnerQuery struct {
	Search  string    // in the name, ignoring case; passes apikey.CheckSearch
	Enabled *bool     // whether owners are not suspended
	At      time.Time // for the counts

	After string // only owners after the one with this name
	Limit int    // how many owners at most, from 1
}

// OwnerPage is an answer to an OwnerQuery.
type OwnerPage struct {
	Owners []OwnerState
	More   bool // whether owners follow
}
