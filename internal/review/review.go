// Package review finds what a key does not need, from what its use of the last weeks showed.
package review

import (
	"net/netip"
	"slices"
	"time"

	"apikeyd/apikey"
	"apikeyd/store"
)

// Days is how long ago a use still counts.
const Days = 30

// Review says what a key was used for, and proposes the narrower key.
type Review struct {
	Since time.Time // from the start of this day on (UTC), uses count

	Scopes       []Scope   // of the key, in its order
	Networks     []Network // ordered by text
	MoreNetworks bool      // there were more than are kept

	// Proposal is the change that leaves what was used. It changes nothing if nothing would be narrower, or too little
	// is known.
	Proposal apikey.Change
}

// Scope is a scope of the key.
type Scope struct {
	Name  string
	Asked time.Time // the day (UTC) on which a VALID call last asked for it; zero if none did
}

// Network is a network whence VALID calls came: an IPv4 /24 or an IPv6 /48.
type Network struct {
	netip.Prefix

	Used time.Time // the day (UTC) of the last such call
}

// Since returns the start of the period that a review covers.
func Since(now time.Time) time.Time { return now.UTC().Truncate(store.Day).AddDate(0, 0, -Days) }

// Of reviews a key by what was seen since Since(now).
func Of(key apikey.Key, seen []store.Seen, now time.Time) Review {
	r := Review{Since: Since(now), Scopes: []Scope{}, Networks: []Network{}}
	asked := make(map[string]time.Time)
	for _, s := range seen {
		switch s.Kind {
		case store.SeenScope:
			asked[s.Value] = s.Last
		case store.SeenNetwork:
			if network := apikey.ParseCIDR(s.Value); network.IsValid() {
				r.Networks = append(r.Networks, Network{network, s.Last})
			}
		case store.SeenMoreNetworks:
			r.MoreNetworks = true
		}
	}
	var needed apikey.Scopes
	for _, scope := range key.Scopes {
		r.Scopes = append(r.Scopes, Scope{scope, asked[scope]})
		if !asked[scope].IsZero() {
			needed = append(needed, scope)
		}
	}
	if key.IsRevoked() {
		return r // it cannot be changed
	}
	// A key none of whose scopes was asked for may be used where the caller looks at its scopes itself.
	if len(needed) > 0 && len(needed) < len(key.Scopes) {
		r.Proposal.Scopes = &needed
	}
	if narrower := narrower(key.AllowedCIDRs, r.Networks); !r.MoreNetworks && narrower != nil {
		r.Proposal.AllowedCIDRs = &narrower
	}
	return r
}

// narrower returns the parts of the allowed networks that were used, or nil if that is no narrower list that a key can
// have.
func narrower(allowed apikey.CIDRs, used []Network) apikey.CIDRs {
	var list apikey.CIDRs
	for _, network := range used {
		if len(allowed) == 0 || (apikey.CIDRs{network.Prefix}).Within(allowed) {
			list = append(list, network.Prefix)
			continue
		}
		for _, part := range allowed { // smaller than the network that is recorded
			if network.Bits() <= part.Bits() && network.Contains(part.Addr()) {
				list = append(list, part)
			}
		}
	}
	if apikey.CheckCIDRs("allowed_cidrs", list) != nil || len(list) == 0 || len(allowed) > 0 && allowed.Within(list) {
		return nil
	}
	return slices.Clip(list)
}
