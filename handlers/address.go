package handlers

import (
	"net/http"
	"net/netip"
	"strings"
)

const (
	// maxHops bounds how many trusted proxies a request may have come through.
	maxHops = 32
	// maxHop is longer than any address with its port.
	maxHop = 64
)

// client finds out where a request comes from, and whether a trusted proxy told so.
// X-Forwarded-For is believed from right to left, for as long as the hop that wrote an entry
// is a trusted proxy: everything further left was chosen by the client. Where an entry is no
// address, the trail ends at its writer.
func (s *Server) client(r *http.Request) (address netip.Addr, proxied bool) {
	address = addressOf(r.RemoteAddr)
	trail := trail{lines: r.Header["X-Forwarded-For"]}
	for range maxHops {
		if !s.trusts(address) {
			break
		}
		hop := trail.next()
		if hop == "" {
			break
		}
		before := addressOf(hop)
		if !before.IsValid() {
			return address, false
		}
		address, proxied = before, true
	}
	return address, proxied
}

// trusts reports whether an address belongs to a trusted proxy.
func (s *Server) trusts(address netip.Addr) bool {
	for _, proxies := range s.TrustedProxies {
		if proxies.Contains(address) {
			return true
		}
	}
	return false
}

// trail reads the entries of a list header from the last to the first.
type trail struct {
	lines []string // those before line
	line  string
}

// next returns the entry before the last one read, or nothing. Empty entries do not count
// (RFC 9110, section 5.6.1).
func (t *trail) next() string {
	for t.line != "" || len(t.lines) > 0 {
		if t.line == "" {
			last := len(t.lines) - 1
			t.line, t.lines = t.lines[last], t.lines[:last]
		}
		comma := strings.LastIndexByte(t.line, ',')
		entry := strings.Trim(t.line[comma+1:], " \t")
		t.line = t.line[:max(comma, 0)]
		if entry != "" {
			return entry
		}
	}
	return ""
}

// addressOf reads an address with or without a port, an IPv6 one with or without brackets.
// The zone goes, and an IPv4 address that is written as an IPv6 one is an IPv4 address. What
// is none is the zero Addr.
func addressOf(text string) netip.Addr {
	if len(text) > maxHop {
		return netip.Addr{}
	}
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return plain(withPort.Addr())
	}
	if inner, found := strings.CutPrefix(text, "["); found {
		if text, found = strings.CutSuffix(inner, "]"); !found || !strings.Contains(text, ":") {
			return netip.Addr{}
		}
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return plain(address)
}

func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// network is the part of an address that one visitor cannot choose at will: all of IPv4,
// half of IPv6. All unknown addresses are one network.
func network(address netip.Addr) netip.Prefix {
	bits := 64
	if address.Is4() {
		bits = 32
	}
	prefix, _ := address.Prefix(bits) // the number fits
	return prefix
}
