package service

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// listenAt listens on the address of a flag.
func listenAt(ctx context.Context, flag, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, networkOf(address), address)
	if err != nil {
		return nil, listenError(ctx, flag, address, err)
	}
	return listener, nil
}

// listenError explains why an address cannot be bound, and suggests another one.
func listenError(ctx context.Context, flag, address string, err error) error {
	host, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s %s is in use by another program; %s", flag, address, freeAddress(ctx, flag, host, port))
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s %s is not permitted: ports below 1024 take privileges; %s", flag, address, freeAddress(ctx, flag, host, "8079"))
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s %s is no address of this machine; try %s %s, or %s %s for every address",
			flag, address, flag, net.JoinHostPort("127.0.0.1", port), flag, net.JoinHostPort("", port))
	}
	return fmt.Errorf("%s: %w", flag, err)
}

// freeAddress suggests the next free port of a host.
func freeAddress(ctx context.Context, flag, host, port string) string {
	const tries = 20
	first, err := new(net.Resolver).LookupPort(ctx, "tcp", port)
	for next := first + 1; err == nil && next <= min(first+tries, math.MaxUint16); next++ {
		address := net.JoinHostPort(host, strconv.Itoa(next))
		if listener, err := new(net.ListenConfig).Listen(ctx, networkOf(address), address); err == nil {
			_ = listener.Close() // nobody has connected
			return "try " + flag + " " + address
		}
	}
	return "name another port"
}

// CheckListen refuses addresses that can never be bound, and takes unix:PATH.
func CheckListen(flag, address string) error {
	path, isSocket := SocketPath(address)
	switch {
	case !isSocket:
		return CheckAddress(flag, address)
	case path == "" || strings.HasPrefix(path, "@") || strings.HasPrefix(path, "//") || strings.ContainsRune(path, 0):
		return fmt.Errorf("%s must name a file after unix:, such as unix:/run/apikeyd/apikeyd.sock", flag)
	case len(path) > maxSocketPath:
		return fmt.Errorf("%s unix:PATH must have at most %d bytes in PATH: systems take no more", flag, maxSocketPath)
	}
	return nil
}

// maxSocketPath is what every system takes.
const maxSocketPath = 103

// CheckAddress refuses addresses that can never be bound. It refuses the empty one too, which to
// Go means any port of every address.
func CheckAddress(flag, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = new(net.Resolver).LookupPort(context.Background(), "tcp", port)
	}
	if err == nil {
		return nil
	}
	if _, notPort := strconv.ParseUint(address, 10, 16); notPort == nil {
		return fmt.Errorf("%[1]s must be HOST:PORT; write %[1]s 127.0.0.1:%[2]s for this machine alone, or %[1]s :%[2]s for every address",
			flag, address)
	}
	reason := err.Error()
	if one, ok := errors.AsType[*net.AddrError](err); ok {
		reason = one.Err
	}
	return fmt.Errorf("%s must be HOST:PORT, such as 127.0.0.1:8080, [::1]:8080, or :8080 for every address; %q has a fault: %s",
		flag, address, reason)
}

// networkOf returns tcp4 for an IPv4 address: with tcp, Go binds 0.0.0.0 to IPv6 addresses too.
func networkOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "tcp"
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().Is4() {
		return "tcp4"
	}
	return "tcp"
}

// urlOf returns the URL of a listener. It escapes the zone of an IPv6 address. A socket's is as in --url.
func urlOf(scheme string, at net.Addr, path string) string {
	if at.Network() == "unix" {
		if path != "" {
			path = ":" + path
		}
		return unixPrefix + at.String() + path
	}
	return (&url.URL{Scheme: scheme, Host: at.String(), Path: path}).String()
}
