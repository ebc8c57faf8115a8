package store

import (
	"context"
	"net/netip"
	"time"

	"apikeyd/apikey"
)

// Outcomes are the codes of package verify. Stored counts name each by its index, so the order never changes and
// new ones come last.
var Outcomes = [...]string{
	"VALID", "NOT_FOUND", "REVOKED", "DISABLED", "EXPIRED", "ADDRESS_NOT_ALLOWED", "INSUFFICIENT_SCOPE",
	"QUOTA_EXCEEDED", "RATE_LIMITED",
}

// Counts are how many verifications had each of the Outcomes.
type Counts [len(Outcomes)]int64

// Valid is how many were VALID.
func (c Counts) Valid() int64 { return c[0] }

// Refused is how many were not.
func (c Counts) Refused() (n int64) {
	for _, other := range c[1:] {
		n += other
	}
	return n
}

// Add adds other counts.
func (c *Counts) Add(other Counts) {
	for i, n := range other {
		c[i] += n
	}
}

// Use is what happened to a key within an hour since its last Use. With a zero Key it counts secrets that no key
// has.
type Use struct {
	Key    apikey.ID
	Owner  string    // the key's
	Hour   time.Time // of Counts, at its start
	Counts Counts

	LastUsedAt   time.Time  // zero if Counts has refusals only
	LastUsedFrom netip.Addr // of that use; zero if unknown

	Scopes       []string       // of the key's own, those that VALID calls asked for
	Networks     []netip.Prefix // whence VALID calls came, see NetworkOf
	MoreNetworks bool           // there were more
}

// NetworkOf returns the network that is recorded of a client's address: of IPv4 a /24, of IPv6 a /48.
func NetworkOf(client netip.Addr) netip.Prefix {
	bits := 48
	if client = client.Unmap(); client.Is4() {
		bits = 24
	}
	network, _ := client.WithZone("").Prefix(bits) // only of a zero address it fails, and then it is zero
	return network
}

// UsageQuery selects stored counts.
type UsageQuery struct {
	Subject            // zero is all keys, and secrets that no key has
	From, To time.Time // from, and before; both are the start of an interval
	Interval time.Duration
}

// The intervals of a UsageQuery.
const (
	Hour = time.Hour
	Day  = 24 * time.Hour // in UTC
)

// IntervalCounts are the counts of one interval.
type IntervalCounts struct {
	Start  time.Time
	Counts Counts
}

// SeenKind is what Seen says of a key.
type SeenKind int

// The kinds. Their numbers are stored.
const (
	SeenScope        SeenKind = iota // Value is a scope of the key that VALID calls asked for
	SeenNetwork                      // Value is a network whence VALID calls came, such as 203.0.113.0/24
	SeenMoreNetworks                 // there were more networks than are kept; Value is empty
)

const (
	// MaxSeenNetworks is how many networks of a key are kept.
	MaxSeenNetworks = 64
	// MaxSeenScopes is how many of its scopes: all that it has, and as many that it had before.
	MaxSeenScopes = 128
)

// Seen is something that VALID calls with a key showed.
type Seen struct {
	Kind  SeenKind
	Value string
	Last  time.Time // the start of the last day (UTC) on which it was seen
}

// Retention says what PruneUsage keeps.
type Retention struct {
	Hours time.Time // earlier hours become parts of days
	Days  time.Time // earlier days are removed
	Seen  time.Time // what was last seen before is removed

	Notices time.Time // that a notice about an earlier end or period was written is forgotten
}

// UsesAtOnce is how many uses RecordUses should get at most: waiting changes hardly notice so many.
const UsesAtOnce = 256

// Usage keeps what verifications found.
type Usage interface {
	// RecordUses adds counts, of each key, its owner and all, and moves last-used times and days of Seen forward,
	// never back. It does all that in one transaction. The last-used times of unknown keys are ignored.
	RecordUses(ctx context.Context, uses []Use) error

	// CountedUses returns the counts of those intervals that have any, oldest first.
	CountedUses(ctx context.Context, q UsageQuery) ([]IntervalCounts, error)

	// UsageSince returns since when there are counts of this interval, or the zero time if there are none.
	UsageSince(ctx context.Context, interval time.Duration) (time.Time, error)

	// Seen returns what VALID calls with a key showed on the day of since or later, by kind and value.
	Seen(ctx context.Context, id apikey.ID, since time.Time) ([]Seen, error)

	// PruneUsage adds old hours to their days, and removes what is older than that. It does so in small steps; if it
	// fails, what it did so far is complete. It returns how many rows it removed.
	PruneUsage(ctx context.Context, r Retention) (rows int, err error)
}
