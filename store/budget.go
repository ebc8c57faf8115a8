package store

import (
	"context"

	"apikeyd/apikey"
)

// Budget counts the calls of keys and owners that have a rate limit, for all nodes together. A store that
// only one node uses offers none.
type Budget interface {
	// TakeCalls takes calls out of a subject's budget: as many as requested, or as many as are
	// left. In any time t it grants at most Limit + Limit × t/Window calls by the store's
	// clock. A subject whose limit changed gets a new budget. TakeCalls needs no
	// durable write: calls that were taken just before the store failed may be forgotten.
	//
	// It takes at most a second, and returns ErrUnavailable if the store cannot answer.
	TakeCalls(ctx context.Context, subject Subject, limit apikey.RateLimit, calls int) (Grant, error)
}

// Grant is a Budget's answer.
type Grant struct {
	Calls int   // how many may pass
	Level int64 // how much of the budget is used now, in calls × microseconds; at most Limit × Window
}
