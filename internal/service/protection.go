package service

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"apikeyd/apikey"
)

// protectionFlags limit what strangers can do to a server.
type protectionFlags struct {
	AuthFailures   int            `name:"auth-failures-per-minute" default:"60" env:"APIKEYD_AUTH_FAILURES_PER_MINUTE" placeholder:"N" help:"How many calls with a bad key one network may make in a minute before it gets 429 (${default}); 0 is unlimited. A good key always passes."`
	TrustedProxies []proxyNetwork `env:"APIKEYD_TRUSTED_PROXIES" placeholder:"CIDR" help:"Proxies whose X-Forwarded-For and X-Forwarded-Prefix are used (none), such as 10.0.0.0/8, or unix for those at a Unix socket; they must write both themselves."`
	MaxConnections int            `default:"0" env:"APIKEYD_MAX_CONNECTIONS" placeholder:"N" help:"How many connections may be open; others wait. 0 is what the limit of open files allows, at most 16384 (${default})."`
}

// Validate checks the numbers.
func (f protectionFlags) Validate() error {
	var err error
	if f.AuthFailures < 0 || f.AuthFailures > maxAuthFailures {
		err = fmt.Errorf("--auth-failures-per-minute must be 0 to %d", maxAuthFailures)
	}
	if f.MaxConnections < 0 {
		err = errors.Join(err, errors.New("--max-connections must not be negative"))
	}
	return err
}

// maxAuthFailures is the largest limit that is still counted exactly.
const maxAuthFailures = 1_000_000

func (f protectionFlags) authFailures() apikey.RateLimit {
	if f.AuthFailures == 0 {
		return apikey.RateLimit{}
	}
	return apikey.RateLimit{Limit: f.AuthFailures, Window: time.Minute}
}

func (f protectionFlags) trustedProxies() []netip.Prefix {
	var networks []netip.Prefix
	for _, n := range f.TrustedProxies {
		if n != socketPeers {
			networks = append(networks, n.Prefix)
		}
	}
	return networks
}

// trustsPeer reports whether a connection is one of a trusted proxy.
func (f protectionFlags) trustsPeer(r *http.Request) bool {
	if r.RemoteAddr == socketAddress {
		return f.trustsSocket()
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && slices.ContainsFunc(f.TrustedProxies, func(n proxyNetwork) bool {
		return n.Contains(peer.Addr().Unmap().WithZone(""))
	})
}

// trustsSocket reports whether every client of the Unix socket is a trusted proxy.
func (f protectionFlags) trustsSocket() bool { return slices.Contains(f.TrustedProxies, socketPeers) }

// proxyNetwork is a network in CIDR notation, one address, or socketPeers.
type proxyNetwork struct{ netip.Prefix }

// socketPeers are the clients of a Unix socket, whom no network contains.
var socketPeers proxyNetwork

// UnmarshalText parses one network; kong splits the list.
func (n *proxyNetwork) UnmarshalText(text []byte) (err error) {
	if strings.TrimSpace(string(text)) == "unix" {
		*n = socketPeers
		return nil
	}
	n.Prefix, err = parseNetwork(text, "would let all clients choose their own address; name your proxies")
	return err
}

// parseNetwork reads a network or an address. Every says why nobody may name every address.
func parseNetwork(text []byte, every string) (network netip.Prefix, err error) {
	word := strings.TrimSpace(string(text))
	if address, err := netip.ParseAddr(word); err == nil && address.Zone() == "" {
		network = netip.PrefixFrom(address, address.BitLen())
	} else if network, err = netip.ParsePrefix(word); err != nil {
		return network, fmt.Errorf("%q is neither a network, such as 10.0.0.0/8, nor an address", word)
	}
	switch {
	case network.Addr().Is4In6():
		return network, fmt.Errorf("%q must be written as an IPv4 network", word)
	case network != network.Masked():
		return network, fmt.Errorf("%q has bits beyond its length; write %s", word, network.Masked())
	case network.Bits() == 0:
		return network, fmt.Errorf("%q %s", word, every)
	}
	return network, nil
}

const (
	// mostConnections is the default limit of open connections.
	mostConnections = 16384
	// otherFiles is how many file descriptors are reserved for everything but connections.
	otherFiles = 128
)

// limitConnections limits the open connections of a listener, so that the process never runs out of
// file descriptors. Others wait in the listener's queue.
func (f protectionFlags) limitConnections(listener net.Listener, log *slog.Logger) net.Listener {
	room := max(maxOpenFiles()-otherFiles, maxOpenFiles()/2)
	limit := mostConnections
	if f.MaxConnections > 0 {
		limit = f.MaxConnections
	}
	if limit > room {
		if f.MaxConnections > 0 {
			log.Warn("fewer connections than --max-connections: the limit of open files (ulimit -n) is too low",
				"connections", room)
		}
		limit = room
	}
	return netutil.LimitListener(listener, limit)
}

// warnOfPlainText warns if other machines can connect without TLS.
func warnOfPlainText(listener net.Listener, log *slog.Logger) {
	if at, ok := listener.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
		log.Warn("serving other machines without TLS: anyone on the network path can read keys; "+
			"set --tls-cert and --tls-key, or let only a proxy on a network that you trust reach this address",
			"listen", at.String())
	}
}
