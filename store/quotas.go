package store

import (
	"context"
	"time"

	"apikeyd/apikey"
)

// Subject is what a quota or a rate limit limits: a key if Key is set, else all keys of an owner.
type Subject struct {
	Key   apikey.ID
	Owner string
}

// Quotas counts what calls use of quotas, for all nodes together.
type Quotas interface {
	// TakeUnits takes units of a limit for the period that starts at start: as many as requested, or
	// as many as are left. They are taken durably when it returns. Use in a period that started later
	// than start counts too: after a change from days to months, or of a clock that was set back.
	TakeUnits(ctx context.Context, subject Subject, limit int, start time.Time, units int) (Used, error)

	// ReturnUnits gives back units that were taken but not used.
	ReturnUnits(ctx context.Context, unused []Unused) error

	// UsedUnits returns what was used since start, including units that nodes hold in advance.
	UsedUnits(ctx context.Context, subject Subject, start time.Time) (int, error)
}

// Used is the answer of TakeUnits.
type Used struct {
	Granted int       // units that were taken
	Total   int       // used in the period, including Granted
	Since   time.Time // when the period started from which use counts
}

// Unused are units to return.
type Unused struct {
	Subject Subject
	Since   time.Time // as in Used
	Units   int
}
