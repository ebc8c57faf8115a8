package apikey

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const (
	maxCIDRs = 32
	// maxCIDR is longer than any network: an IPv4-mapped address of 45 characters, and /128.
	maxCIDR = 49
)

// CIDRs are networks, IPv4 and IPv6. An empty list is all networks.
type CIDRs []netip.Prefix

// ParseCIDR reads a network, such as 192.0.2.0/24 or 2001:db8::/32. An address alone is a network of one
// address, and an IPv4-mapped network is an IPv4 one. Text that is not a network returns the zero Prefix,
// which CheckCIDRs refuses.
func ParseCIDR(text string) netip.Prefix {
	if len(text) > maxCIDR {
		return netip.Prefix{}
	}
	prefix, err := netip.ParsePrefix(text)
	if address, notAlone := netip.ParseAddr(text); notAlone == nil && address.Zone() == "" {
		prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
	}
	if err != nil {
		return netip.Prefix{}
	}
	const mapped = 96 // the bits before the IPv4 address
	if prefix.Addr().Is4In6() && prefix.Bits() >= mapped {
		return netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-mapped)
	}
	return prefix
}

// ParseCIDRs reads networks, each as ParseCIDR does.
func ParseCIDRs(texts []string) CIDRs {
	if len(texts) == 0 {
		return nil
	}
	all := make(CIDRs, len(texts))
	for i, text := range texts {
		all[i] = ParseCIDR(text)
	}
	return all
}

// Contain reports whether an address is in one of the networks. An IPv4-mapped address counts as IPv4, and
// the zero Addr is in no network. Nothing is in an empty list.
func (c CIDRs) Contain(address netip.Addr) bool {
	address = address.Unmap()
	for _, network := range c {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// Within reports whether each of the networks is part of one of the others. All networks are only within
// all networks.
func (c CIDRs) Within(others CIDRs) bool {
	if len(others) == 0 {
		return true
	}
	for _, network := range c {
		if !slices.ContainsFunc(others, func(other netip.Prefix) bool {
			return other.Bits() <= network.Bits() && other.Contains(network.Addr())
		}) {
			return false
		}
	}
	return len(c) > 0
}

// Narrowed returns the networks, or later ones unless these are within them.
func (c CIDRs) Narrowed(later CIDRs) CIDRs {
	if c.Within(later) {
		return c
	}
	return later
}

// Equal reports whether both are the same networks in the same order.
func (c CIDRs) Equal(others CIDRs) bool { return slices.Equal(c, others) }

// String joins the networks with spaces.
func (c CIDRs) String() string {
	texts := make([]string, len(c))
	for i, network := range c {
		texts[i] = network.String()
	}
	return strings.Join(texts, " ")
}

// orNil keeps one form of an empty list.
func (c CIDRs) orNil() CIDRs {
	if len(c) == 0 {
		return nil
	}
	return c
}

// CheckCIDRs returns an *InvalidError if a field cannot be these networks.
func CheckCIDRs(field string, c CIDRs) error {
	if len(c) > maxCIDRs {
		return Invalid(field, fmt.Sprintf("must be at most %d networks", maxCIDRs))
	}
	for i, network := range c {
		masked := network.Masked()
		switch {
		case !network.IsValid():
			return Invalid(field, "must be IP networks or addresses, such as 192.0.2.0/24, 2001:db8::/32 or 192.0.2.7")
		case network != masked:
			return Invalid(field, fmt.Sprintf("must not have bits beyond a network's length: write %s for the network, or %s for the one address",
				masked, network.Addr()))
		case slices.Contains(c[:i], network):
			return Invalid(field, "must not name "+network.String()+" twice")
		}
	}
	return nil
}

// appendCIDRs appends networks in the contract's JSON; an empty list is absent.
func appendCIDRs(b []byte, networks CIDRs) []byte {
	if len(networks) == 0 {
		return b
	}
	b = append(b, '[')
	for _, network := range networks {
		b = append(network.AppendTo(append(appendComma(b), '"')), '"')
	}
	return append(b, ']')
}
