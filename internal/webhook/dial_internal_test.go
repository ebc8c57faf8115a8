package webhook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"apikeyd/apikey"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inside are addresses of which an attacker might hope that the server reaches them.
var inside = []string{
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9", "168.63.129.16",
	"169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1",
	"198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
	"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
	"64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2002:a00:1::", "3fff::1", "5f00::1", "fc00::1",
	"fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
}

// Each address is really dialled, with and without TLS.
func TestRefusedAddresses(t *testing.T) {
	t.Parallel()
	g := &Guard{}
	for _, address := range inside {
		for _, scheme := range []string{"https", "http"} {
			url := scheme + "://" + net.JoinHostPort(address, "9")
			err := get(t, g.client(scheme == "http"), url)
			if _, refused := errors.AsType[*refusedError](err); !refused {
				t.Errorf("%s: %v", url, err)
			}
			if _, invalid := errors.AsType[*apikey.InvalidError](g.CheckURL(url)); !invalid {
				t.Errorf("%s is taken as an endpoint", url)
			}
		}
	}
	for _, address := range []string{"1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "64:ff9b::101:101", "2002:101:101::", "::ffff:1.1.1.1"} {
		a := netip.MustParseAddr(address)
		if g.check(a, false) != nil || g.check(a, true) == nil {
			t.Errorf("%s: %v with TLS, %v without", address, g.check(a, false), g.check(a, true))
		}
	}
	allowing := &Guard{Allow: prefixes("10.0.0.0/8", "fd00::/8")}
	for address, allowed := range map[string]bool{"10.1.1.1": true, "::ffff:10.1.1.1": true, "fd00::1": true, "11.1.1.1": false, "192.168.1.1": false} {
		if got := allowing.check(netip.MustParseAddr(address), true) == nil; got != allowed {
			t.Errorf("%s is allowed: %t", address, got)
		}
	}
}

func get(t *testing.T, client *http.Client, url string) error {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	must(t, err)
	answer, err := client.Do(request)
	if err == nil {
		err = answer.Body.Close()
	}
	return err
}

func TestURLs(t *testing.T) {
	t.Parallel()
	strict, allowing := &Guard{}, &Guard{Allow: prefixes("10.0.0.0/8")}
	secret := apikey.NewSecret("ak", apikey.NewID()).Reveal()
	for url, want := range map[string]string{
		"https://hooks.example.com":            "",
		"https://hooks.example.com:8443/a?b=c": "",
		"https://1.1.1.1/":                     "",
		"http://hooks.example.com":             "http://",
		"ftp://hooks.example.com":              "https://",
		"hooks.example.com":                    "absolute",
		"https://":                             "absolute",
		"https:///path":                        "absolute",
		"https:hooks":                          "absolute",
		"https://:443/":                        "absolute",
		"https://a\x00b":                       "absolute",
		"https://user@hooks.example.com":       "password",
		"https://user:pass@hooks.example.com":  "password",
		"https://hooks.example.com/#a":         "fragment",
		"https://hooks.example.com/#":          "fragment",
		"https://hooks.example.com/" + secret:  "API key",
		"https://127.0.0.1/":                   "public",
		"https://[::1]/":                       "public",
		"https://10.0.0.1":                     "--webhook-allow",
	} {
		err := strict.CheckURL(url)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", url, err, want)
		}
	}
	for _, url := range []string{"http://10.0.0.1", "https://10.0.0.1", "http://hooks.example.com"} {
		if err := allowing.CheckURL(url); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
	if err := allowing.CheckURL("http://1.1.1.1"); err == nil || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("a public address without TLS: %v", err)
	}
}

// A name that means a public address when it is looked up, and one inside when it is dialled, leads nowhere.
func TestChangingName(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	g := &Guard{Resolver: nameServer(t, func() [4]byte {
		if asked.Add(1) == 1 {
			return [4]byte{1, 1, 1, 1}
		}
		return [4]byte{127, 0, 0, 1}
	})}
	const name = "changing.example.com"
	first, err := g.Resolver.LookupNetIP(t.Context(), "ip4", name)
	must(t, err)
	if len(first) != 1 || !isPublic(first[0]) {
		t.Fatalf("the name means %v at first", first)
	}
	for range 3 {
		err = get(t, g.client(false), "https://"+name+":9/")
		if _, refused := errors.AsType[*refusedError](err); !refused {
			t.Errorf("error is %v", err)
		}
	}
	if asked.Load() < 2 {
		t.Error("the name was not looked up again")
	}
}

// nameServer returns a resolver that asks a server of its own, whose answer is an address for each name.
func nameServer(t *testing.T, address func() [4]byte) *net.Resolver {
	t.Helper()
	server, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		for packet := make([]byte, 512); ; {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(packet[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			m.Response = true
			m.Additionals = nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: address()},
				}}
			}
			answer, err := m.Pack()
			if err == nil {
				_, _ = server.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialer := net.Dialer{Timeout: time.Second}
		return dialer.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}
