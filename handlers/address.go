package handlers

import (
	"net/http"
	"net/netip"
	"strings"
)

const (
	// maxHops limits how many trusted proxies of a request are followed.
	maxHops = 32
	// maxHop is longer than any address with its port.
	maxHop = 64
)

// client returns the address of a request's client, and whether a trusted proxy reported it. It reads
// X-Forwarded-For from right to left while the hop that wrote an entry is a trusted proxy: the client
// chose everything further left. At an entry that is not an address, it returns the entry's writer.
func (s *Server) client(r *http.Request) (address netip.Addr, proxied bool) {
	address = addressOf(r.RemoteAddr)
	trail := trail{lines: r.Header["X-Forwarded-For"]}
	for range maxHops {
		if !s.trusts(address) && (proxied || !s.trustsPeer(r)) {
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

// callerAddress returns the address by which a caller's own networks are checked: that of the connection, or
// the one that a trusted proxy reported. It is unknown (zero) behind a proxy that is not trusted, or that
// reported something else: anybody could be there.
func (x *exchange) callerAddress() netip.Addr {
	if x.direct {
		return x.address
	}
	return x.clientAddress()
}

// clientAddress is callerAddress for the client of a gateway, which only a trusted proxy can report.
func (x *exchange) clientAddress() netip.Addr {
	if x.proxied {
		return x.address
	}
	return netip.Addr{}
}

// trustsPeer reports whether a trusted proxy made the connection.
func (s *Server) trustsPeer(r *http.Request) bool {
	return r.RemoteAddr == "@" && s.TrustSocket || s.trusts(addressOf(r.RemoteAddr))
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

// trail reads a list header's entries from the last to the first.
type trail struct {
	lines []string // unread lines before line
	line  string
}

// next returns the next entry to the left, or "" at the end. It skips empty entries (RFC 9110, section
// 5.6.1).
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

// addressOf reads an address with or without a port, and IPv6 with or without brackets. It drops the
// zone and unmaps IPv4-mapped IPv6. Invalid text returns the zero Addr.
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

// network returns the part of an address that a client cannot freely choose: all of IPv4, the upper
// half of IPv6. All unknown addresses share one network.
func network(address netip.Addr) netip.Prefix {
	bits := 64
	if address.Is4() {
		bits = 32
	}
	prefix, _ := address.Prefix(bits) // never fails: bits is in range
	return prefix
}
