package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"apikeyd/apikey"
)

// Guard says where deliveries may go. Public addresses are reached over TLS; the networks in Allow in any way.
type Guard struct {
	Allow []netip.Prefix
	// Roots are the authorities that receivers' certificates are verified with; nil uses the system's.
	Roots *x509.CertPool
	// Resolver looks up names; nil is net.DefaultResolver.
	Resolver *net.Resolver
}

// refused are networks that no public receiver is in: RFC 6890 and IANA's special-purpose registries. Addresses that
// contain an IPv4 address are judged by that, too.
var refused = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32", // Azure's metadata
	"::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16",
	"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

// embedding are networks whose addresses contain an IPv4 address, and where in the 16 bytes it begins.
var embedding = map[netip.Prefix]int{
	netip.MustParsePrefix("64:ff9b::/96"): 12, // NAT64
	netip.MustParsePrefix("2002::/16"):    2,  // 6to4
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func contains(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

// isPublic reports whether an address can be a public receiver's.
func isPublic(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" || contains(refused, a) {
		return false
	}
	for network, start := range embedding {
		if b := a.As16(); network.Contains(a) && !isPublic(netip.AddrFrom4([4]byte(b[start:start+4]))) {
			return false
		}
	}
	return true
}

// refusedError says that an address must not be dialled.
type refusedError struct {
	address netip.Addr
	plain   bool
}

func (e *refusedError) Error() string {
	if e.plain {
		return fmt.Sprintf("%s is not dialled without TLS: use https, or name it with --webhook-allow", e.address)
	}
	return fmt.Sprintf("%s is not a public address: name it with --webhook-allow if it is meant", e.address)
}

// check returns a *refusedError unless the address may be dialled.
func (g *Guard) check(a netip.Addr, plain bool) error {
	a = a.Unmap()
	if contains(g.Allow, a) || !plain && isPublic(a) {
		return nil
	}
	return &refusedError{a, plain && isPublic(a)}
}

// CheckURL returns an *apikey.InvalidError if nothing can be delivered to a URL. Names are not looked up: what they mean
// is checked at each connection.
func (g *Guard) CheckURL(text string) error {
	invalid := func(message string) error { return apikey.Invalid("url", message) }
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return invalid("must be an absolute URL such as https://hooks.example.com/apikeyd")
	case u.Scheme != "https" && u.Scheme != "http":
		return invalid("must begin with https://")
	case u.User != nil:
		return invalid("must not contain a user name or password: deliveries are signed instead")
	case u.Fragment != "" || strings.Contains(text, "#"):
		return invalid("must not have a fragment (#), which is never sent")
	case apikey.Redact(text) != text:
		return invalid("must not contain an API key")
	case u.Scheme == "http" && len(g.Allow) == 0:
		return invalid("must begin with https://; http:// is possible for networks that serve --webhook-allow names")
	}
	if address, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := g.check(address, u.Scheme == "http"); err != nil {
			return invalid(err.Error())
		}
	}
	return nil
}

const (
	// attemptTimeout is how long an attempt may take, from the look-up to the end of the answer.
	attemptTimeout = 10 * time.Second
	// maxAnswer is how much of an answer is read. It is discarded: no one is ever shown a receiver's answer.
	maxAnswer = 64 << 10
	// maxIdle is how many connections are kept open, for all receivers.
	maxIdle = 100
)

// client returns a client that follows no redirect, knows no proxy, and dials what may be dialled. The address is checked
// between its look-up and the connection, so no name can change in between.
func (g *Guard) client(plain bool) *http.Client {
	dialer := &net.Dialer{Timeout: attemptTimeout, Resolver: g.Resolver, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return errors.New("the address cannot be read")
		}
		return g.check(to.Addr(), plain)
	}}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       attemptTimeout,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, address)
			},
			TLSClientConfig:        &tls.Config{RootCAs: g.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    attemptTimeout,
			MaxResponseHeaderBytes: maxAnswer,
			DisableCompression:     true,
			MaxIdleConns:           maxIdle,
			MaxIdleConnsPerHost:    inFlight,
			IdleConnTimeout:        30 * time.Second,
		},
	}
}
