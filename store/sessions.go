package store

import (
	"context"
	"time"

	"apikeyd/apikey"
)

// Sessions keeps the keys of sessions, and the owner links that begin some. Key, RevokeKey and EndSecret find a session's
// key by its id like any other; UpdateKey and RotateKey return a *apikey.DeniedError; Keys finds it with Query.Sessions.
// Nothing else does: it has no name to look it up by, and counts nowhere.
type Sessions interface {
	// StartSession stores the key of a new session.
	StartSession(ctx context.Context, actor Actor, key apikey.Key) error

	// EndSession revokes the actor's key, which is a session's, and needs no other right. It returns ErrNotFound if it is
	// none, or ErrActorGone.
	EndSession(ctx context.Context, actor Actor) error

	// CreateLink stores an owner link. It returns ErrActorGone or a *apikey.DeniedError.
	CreateLink(ctx context.Context, actor Actor, link apikey.Link) error

	// OpenLink starts the session of the owner link with this id and token, with the key that start makes. No other call,
	// on any node, opens it too. It returns apikey.ErrNoLink if there is none, it is too old, or its creator's key
	// is no longer good or may no longer give what the link gives; and the error of start. The actor's Key is ignored: the creator is
	// who acts. start gets the creator's key, or nil for the operator.
	OpenLink(
		ctx context.Context, actor Actor, id apikey.ID, token apikey.Hash, start func(link apikey.Link, creator *apikey.Key) (apikey.Key, error),
	) error

	// PruneSessions removes the keys of sessions, and the owner links, that ended before that time. It returns how many
	// keys.
	PruneSessions(ctx context.Context, before time.Time) (int, error)
}
