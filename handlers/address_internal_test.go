package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestNetwork(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.1:1234":                        "192.0.2.1/32",
		"192.0.2.1":                             "192.0.2.1/32",
		"[2001:db8:1:2:3:4:5:6]:1":              "2001:db8:1:2::/64",
		"[2001:db8:1:2::]:2":                    "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1":                  "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]":                "2001:db8:1:2::/64",
		"[2001:db8:1:3::1]:1":                   "2001:db8:1:3::/64",
		"[fe80::1%eth0]:1":                      "fe80::/64",
		"[::ffff:192.0.2.1]:1":                  "192.0.2.1/32",
		"::ffff:192.0.2.1":                      "192.0.2.1/32",
		"[::1]:1":                               "::/64",
		"":                                      "invalid Prefix",
		"@":                                     "invalid Prefix",
		"a unix socket":                         "invalid Prefix",
		"192.0.2.1:1:1":                         "invalid Prefix",
		"192.0.2.1:65536":                       "invalid Prefix",
		"[192.0.2.1]":                           "invalid Prefix",
		"[2001:db8::1":                          "invalid Prefix",
		"2001:db8::1]":                          "invalid Prefix",
		"[[2001:db8::1]]":                       "invalid Prefix",
		"192.0.2.01":                            "invalid Prefix",
		"3221225985":                            "invalid Prefix",
		"0x7f.1":                                "invalid Prefix",
		"example.com:80":                        "invalid Prefix",
		"[2001:db8:1:2:3:4:5:6%zone]:443":       "2001:db8:1:2::/64",
		"fe80::1%" + strings.Repeat("z", 1<<16): "invalid Prefix",
	} {
		if got := network(addressOf(remote)).String(); got != want {
			t.Errorf("network(%.60q) = %s, want %s", remote, got, want)
		}
	}
}

// proxied is a service that trusts proxies in 10.0.0.0/8 and fd00::/8.
var proxied = &Server{Config: Config{TrustedProxies: []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"),
}}}

func TestClient(t *testing.T) {
	t.Parallel()
	many := func(hop string, times int) string { return strings.Repeat(hop+", ", times) + hop }
	for name, tt := range map[string]struct {
		remote  string
		header  []string // lines of X-Forwarded-For
		address string
		proxied bool
	}{
		"nobody in between":                  {"192.0.2.1:1", nil, "192.0.2.1", false},
		"nobody in between, and a tale":      {"192.0.2.1:1", []string{"198.51.100.1"}, "192.0.2.1", false},
		"a proxy that says nothing":          {"10.0.0.1:1", nil, "10.0.0.1", false},
		"a proxy that says nothing at all":   {"10.0.0.1:1", []string{"", " , ,"}, "10.0.0.1", false},
		"one proxy":                          {"10.0.0.1:1", []string{"192.0.2.1"}, "192.0.2.1", true},
		"one proxy, over IPv6":               {"[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1", true},
		"one proxy, mapped":                  {"[::ffff:10.0.0.1]:1", []string{"::ffff:192.0.2.1"}, "192.0.2.1", true},
		"one proxy, its zone":                {"[fd00::1%eth0]:1", []string{"fe80::1%eth1"}, "fe80::1", true},
		"two proxies":                        {"10.0.0.1:1", []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1", true},
		"two proxies, two lines":             {"10.0.0.1:1", []string{"192.0.2.1", "10.0.0.2"}, "192.0.2.1", true},
		"what the client invented":           {"10.0.0.1:1", []string{"127.0.0.1, 192.0.2.1"}, "192.0.2.1", true},
		"what the client invented, in lines": {"10.0.0.1:1", []string{"10.0.0.9", "192.0.2.1"}, "192.0.2.1", true},
		"invented trusted hops":              {"10.0.0.1:1", []string{many("10.0.0.3", 3000) + ", 192.0.2.1"}, "192.0.2.1", true},
		"invented nonsense":                  {"10.0.0.1:1", []string{"\x00\xff, 1;2, ,,, 192.0.2.1"}, "192.0.2.1", true},
		"a proxy between untrusted ones":     {"10.0.0.1:1", []string{"192.0.2.9, 10.0.0.2, 192.0.2.1"}, "192.0.2.1", true},
		"nobody but proxies":                 {"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3", true},
		"more proxies than there are":        {"10.0.0.1:1", []string{many("10.0.0.2", 500)}, "10.0.0.2", true},
		"a port":                             {"10.0.0.1:1", []string{"192.0.2.1:4711"}, "192.0.2.1", true},
		"brackets":                           {"10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1", true},
		"brackets and a port":                {"10.0.0.1:1", []string{"[2001:db8::1]:4711"}, "2001:db8::1", true},
		"white space and empty entries":      {"10.0.0.1:1", []string{" ,\t192.0.2.1 ,, "}, "192.0.2.1", true},
		"a proxy that does not know":         {"10.0.0.1:1", []string{"unknown"}, "10.0.0.1", false},
		"a second proxy that does not know":  {"10.0.0.1:1", []string{"192.0.2.1, unknown, 10.0.0.2"}, "10.0.0.2", false},
		"a name":                             {"10.0.0.1:1", []string{"example.com"}, "10.0.0.1", false},
		"a secret in it":                     {"10.0.0.1:1", []string{"ak_" + strings.Repeat("x", 60)}, "10.0.0.1", false},
		"64 KB without a comma":              {"10.0.0.1:1", []string{strings.Repeat("1", 64<<10)}, "10.0.0.1", false},
		"a unix socket":                      {"@", []string{"192.0.2.1"}, "invalid IP", false},
	} {
		r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{"X-Forwarded-For": tt.header}}
		if address, told := proxied.client(r); address.String() != tt.address || told != tt.proxied {
			t.Errorf("%s: %s, %t; want %s, %t", name, address, told, tt.address, tt.proxied)
		}
	}
}

// FuzzClient checks that the entry that a proxy appends decides, whatever the client wrote before it.
func FuzzClient(f *testing.F) {
	f.Add("192.0.2.1, unknown", "10.0.0.1", false)
	f.Add("[::1%x]:80,,\x00", "2001:db8::1", true)
	f.Fuzz(func(t *testing.T, invented, client string, line bool) {
		want := addressOf(client)
		if !want.IsValid() || strings.ContainsAny(client, ", \t") || proxied.trusts(want) {
			t.Skip("no client")
		}
		lines := []string{invented + ", " + client}
		if line {
			lines = []string{invented, client}
		}
		sent := slices.Clone(lines)
		r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": lines}}
		if got, told := proxied.client(r); got != want || !told {
			t.Errorf("%q: %s, %t", lines, got, told)
		}
		if !slices.Equal(sent, lines) {
			t.Errorf("the header changed from %q to %q", sent, lines)
		}
		r.RemoteAddr = "192.0.2.77:1"
		if got, told := proxied.client(r); got.String() != "192.0.2.77" || told {
			t.Errorf("%q was believed: %s, %t", lines, got, told)
		}
		r.RemoteAddr, r.Header["X-Forwarded-For"] = "10.0.0.1:1", []string{invented}
		proxied.client(r) // anything but a panic
	})
}

// A proxy at a Unix socket, which has no address, is trusted as a whole or not at all.
func TestProxyAtSocket(t *testing.T) {
	t.Parallel()
	for _, trusts := range []bool{false, true} {
		s := &Server{Config: Config{TrustSocket: trusts}}
		r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
		r.RemoteAddr = "@"
		r.Header.Set("X-Forwarded-For", "198.51.100.1, 192.0.2.7")
		r.Header.Set("X-Forwarded-Proto", "https")
		address, proxied := s.client(r)
		if proxied != trusts || address.IsValid() != trusts || trusts && address.String() != "192.0.2.7" {
			t.Errorf("trusted: %t: the client is %s, proxied: %t", trusts, address, proxied)
		}
		if origin := s.originOf(r); (origin == "https://example.com") != trusts {
			t.Errorf("trusted: %t: the origin is %s", trusts, origin)
		}
		if r.RemoteAddr = "127.0.0.1:1"; s.originOf(r) != "http://example.com" {
			t.Error("a TCP connection is taken for a socket's")
		}
	}
}
