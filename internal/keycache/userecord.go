package keycache

import (
	"net/netip"
	"slices"
	"unique"

	"apikeyd/internal/usage"
	"apikeyd/store"
)

// record is what happened to a key within an hour. It counts for the source and for the Meter, which take it at
// different times.
type record struct {
	// What most decisions touch comes first, because it shares cache lines.
	counts usage.Counts
	last   int64      // the last use, in milliseconds since 1970; 0 for none
	scope  string     // the first that a call asked for; empty for none
	from   netip.Addr // of the last use

	place
	owner    string
	metered  usage.Counts   // those of counts that the Meter has
	first    int64          // when the record was made, in milliseconds since 1970
	others   []string       // that calls asked for
	networks []netip.Prefix // that calls came from
	more     bool           // there were more
}

func hourOf(ms int64) int32 { return int32(ms / store.Hour.Milliseconds()) } //nolint:gosec // until the year 246,000

func (r *record) addNetwork(network netip.Prefix) {
	switch {
	case slices.Contains(r.networks, network):
	case len(r.networks) >= maxNetworks:
		r.more = true
	default:
		r.networks = append(r.networks, network)
	}
}

// addScope shares the text among records: the key's shares its memory with others, and the records of most keys have
// the same.
func (r *record) addScope(scope string) {
	switch {
	case scope == r.scope, slices.Contains(r.others, scope), len(r.others) >= store.MaxSeenScopes:
	case r.scope == "":
		r.scope = unique.Make(scope).Value()
	default:
		r.others = append(r.others, unique.Make(scope).Value())
	}
}

// scopes returns the scopes that calls asked for.
func (r *record) scopes() []string {
	if r.scope == "" {
		return nil
	}
	return append([]string{r.scope}, r.others...)
}

// use is a record for the source.
func (r *record) use() store.Use {
	use := store.Use{
		Key: r.id, Owner: r.owner, Hour: fromMillis(int64(r.hour) * store.Hour.Milliseconds()),
		Scopes: r.scopes(), Networks: r.networks, MoreNetworks: r.more,
	}
	for i, n := range r.counts {
		use.Counts[i] = int64(n)
	}
	if r.last != 0 {
		use.LastUsedAt, use.LastUsedFrom = fromMillis(r.last), r.from
	}
	return use
}

// add adds another record of the same place.
func (r *record) add(other *record) {
	for i := range r.counts {
		r.counts[i] += other.counts[i]
		r.metered[i] += other.metered[i]
	}
	for _, network := range other.networks {
		r.addNetwork(network)
	}
	for _, scope := range other.scopes() {
		r.addScope(scope)
	}
	r.more = r.more || other.more
	r.first = min(r.first, other.first)
	if other.last > r.last {
		r.last, r.from = other.last, other.from
	}
}
