package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
)

// listenAt listens at the address that a flag names.
func listenAt(ctx context.Context, flag, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, networkOf(address), address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return listener, nil
}

// networkOf returns tcp4 for an IPv4 address: over tcp, Go takes 0.0.0.0 for every address
// of the machine, IPv6 included.
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

// urlOf returns the URL of what listens at an address. It escapes the zone of an IPv6 address.
func urlOf(scheme string, at net.Addr, path string) string {
	return (&url.URL{Scheme: scheme, Host: at.String(), Path: path}).String()
}
