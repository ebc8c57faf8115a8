package cli

import (
	"net"
	"net/url"
	"regexp"
	"testing"
)

// An IPv4 address means IPv4: Go's own listener takes 0.0.0.0 for IPv6 too.
func TestIPv4AddressMeansIPv4(t *testing.T) {
	t.Parallel()
	s := serveWith(t, t.TempDir(), nil, "--listen", "0.0.0.0:0", "--metrics", "0.0.0.0:0", "--pprof", "127.0.0.1:0")
	urls := regexp.MustCompile(`url=(http\S+)`).FindAllStringSubmatch(s.output.String(), -1)
	if len(urls) != 3 {
		t.Fatalf("it logs %d URLs:\n%s", len(urls), s.output.End())
	}
	for _, found := range urls {
		address, err := url.Parse(found[1])
		must(t, err)
		if ip := net.ParseIP(address.Hostname()); ip.To4() == nil {
			t.Errorf("it listens at %s", address)
		}
		connection, err := net.Dial("tcp", "127.0.0.1:"+address.Port())
		must(t, err)
		must(t, connection.Close())
		if connection, err := net.Dial("tcp", "[::1]:"+address.Port()); err == nil {
			t.Errorf("%s answers on IPv6", address)
			must(t, connection.Close())
		}
	}
}
