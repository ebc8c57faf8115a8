package store

import (
	"context"

	"apikeyd/apikey"
)

// Budget counts the calls of keys that have a rate limit, for all nodes together. A store
// that only one node has offers none.
type Budget interface {
	// TakeCalls takes calls out of a key's budget: as many as are asked for, or what there
	// is. In any time t it grants at most Limit + Limit × t/Window calls by the store's
	// clock. A key whose limit is another than before has a new budget. It needs no
	// durable write: what was taken just before the store failed may be forgotten.
	//
	// It takes a second at most, and returns ErrUnavailable if the store cannot answer.
	TakeCalls(ctx context.Context, id apikey.ID, limit apikey.RateLimit, calls int) (Grant, error)
}

// Grant is what a Budget gives.
type Grant struct {
	Calls int   // that may pass
	Level int64 // how much of the budget is taken now, in calls × microseconds; at most Limit × Window
}
