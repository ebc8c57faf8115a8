package apikey_test

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"apikeyd/apikey"
)

const notNetworks = "must be IP networks or addresses"

func TestParseAndCheckCIDRs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ network, fault string }{
		"192.0.2.0/24":                     {"192.0.2.0/24", ""},
		"192.0.2.7/32":                     {"192.0.2.7/32", ""},
		"192.0.2.7":                        {"192.0.2.7/32", ""},
		"0.0.0.0/0":                        {"0.0.0.0/0", ""},
		"0.0.0.0":                          {"0.0.0.0/32", ""},
		"2001:db8::/32":                    {"2001:db8::/32", ""},
		"2001:DB8:0:0::7":                  {"2001:db8::7/128", ""},
		"::/0":                             {"::/0", ""},
		"::":                               {"::/128", ""},
		"::ffff:192.0.2.0/120":             {"192.0.2.0/24", ""},
		"::ffff:c000:207":                  {"192.0.2.7/32", ""},
		"::ffff:0:0/96":                    {"0.0.0.0/0", ""},
		"::ffff:255.255.255.255/128":       {"255.255.255.255/32", ""},
		"fe80::/10":                        {"fe80::/10", ""},
		"192.0.2.7/24":                     {"", "write 192.0.2.0/24 for the network, or 192.0.2.7 for the one address"},
		"2001:db8::7/64":                   {"", "write 2001:db8::/64 for the network, or 2001:db8::7 for the one address"},
		"::ffff:192.0.2.7/120":             {"", "write 192.0.2.0/24 for the network, or 192.0.2.7 for the one address"},
		"1.2.3.4/0":                        {"", "write 0.0.0.0/0"},
		"::ffff:192.0.2.0/90":              {"", "must not have bits beyond"},
		"":                                 {"", notNetworks},
		" 192.0.2.0/24":                    {"", notNetworks},
		"192.0.2.0/24 ":                    {"", notNetworks},
		"192.0.2.0/":                       {"", notNetworks},
		"192.0.2.0/33":                     {"", notNetworks},
		"192.0.2.0/-1":                     {"", notNetworks},
		"192.0.2.0/+8":                     {"", notNetworks},
		"192.0.2.0/024":                    {"", notNetworks},
		"192.0.2.0/24/24":                  {"", notNetworks},
		"192.0.2.0/255.255.255.0":          {"", notNetworks},
		"192.0.2":                          {"", notNetworks},
		"192.0.2.0.0":                      {"", notNetworks},
		"192.0.2.08":                       {"", notNetworks},
		"192.0.2.*":                        {"", notNetworks},
		"0xc0000200":                       {"", notNetworks},
		"3221225984":                       {"", notNetworks},
		"192.0.2.7:443":                    {"", notNetworks},
		"[2001:db8::7]":                    {"", notNetworks},
		"2001:db8::/129":                   {"", notNetworks},
		"fe80::1%eth0":                     {"", notNetworks},
		"fe80::%eth0/64":                   {"", notNetworks},
		"localhost":                        {"", notNetworks},
		"192.0.2.0/24,198.51.100.0/24":     {"", notNetworks},
		"1" + strings.Repeat("0", 1000000): {"", notNetworks},
	} {
		network := apikey.ParseCIDR(text)
		err := apikey.CheckCIDRs("allowed_cidrs", apikey.CIDRs{network})
		if want.fault == "" && (err != nil || network.String() != want.network) {
			t.Errorf("%.60q is %s, %v; want %s", text, network, err, want.network)
		}
		if want.fault != "" && (err == nil || !strings.Contains(err.Error(), "allowed_cidrs "+want.fault) && !strings.Contains(err.Error(), want.fault)) {
			t.Errorf("%.60q: error is %v, want %q", text, err, want.fault)
		}
	}
}

func TestCheckCIDRs(t *testing.T) {
	t.Parallel()
	var all apikey.CIDRs
	for i := range 32 {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i)}), 16))
	}
	for name, tt := range map[string]struct {
		networks apikey.CIDRs
		fault    string
	}{
		"none":             {nil, ""},
		"an empty list":    {apikey.CIDRs{}, ""},
		"32":               {all, ""},
		"33":               {append(all[:32:32], netip.MustParsePrefix("192.0.2.0/24")), "at most 32"},
		"one twice":        {append(all[:2:2], all[0]), "must not name 10.0.0.0/16 twice"},
		"one in two forms": {apikey.ParseCIDRs([]string{"10.0.0.0/16", "::ffff:10.0.0.0/112"}), "twice"},
		"one in another":   {apikey.ParseCIDRs([]string{"10.0.0.0/16", "10.0.0.0/24"}), ""},
	} {
		err := apikey.CheckCIDRs("observe_cidrs", tt.networks)
		if (err == nil) != (tt.fault == "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: error is %v, want %q", name, err, tt.fault)
		}
	}
}

func TestContain(t *testing.T) {
	t.Parallel()
	networks := apikey.ParseCIDRs([]string{"192.0.2.0/24", "2001:db8::/32"})
	for text, want := range map[string]bool{
		"192.0.2.0": true, "192.0.2.255": true, "192.0.1.255": false, "192.0.3.0": false,
		"::ffff:192.0.2.7": true, "::ffff:192.0.3.7": false, "::192.0.2.7": false,
		"2001:db8::": true, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff": true, "2001:db9::": false,
		"0.0.0.0": false, "::": false,
	} {
		if got := networks.Contain(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is in %s: %t", text, networks, got)
		}
	}
	everything := apikey.ParseCIDRs([]string{"0.0.0.0/0", "::/0"})
	if everything.Contain(netip.Addr{}) || networks.Contain(netip.Addr{}) {
		t.Error("an unknown address is in a network")
	}
	if apikey.ParseCIDRs([]string{"::/0"}).Contain(netip.MustParseAddr("192.0.2.7")) {
		t.Error("::/0 has IPv4 addresses")
	}
	if (apikey.CIDRs{{}}).Contain(netip.MustParseAddr("192.0.2.7")) {
		t.Error("a broken network has addresses")
	}
}

func TestWithin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		networks, others string
		want             bool
	}{
		{"", "", true},
		{"10.0.0.0/8", "", true},
		{"", "0.0.0.0/0 ::/0", false},
		{"10.0.0.0/8", "10.0.0.0/8", true},
		{"10.1.0.0/16", "10.0.0.0/8", true},
		{"10.0.0.0/8", "10.1.0.0/16", false},
		{"10.0.0.0/8 2001:db8::/48", "10.0.0.0/8 2001:db8::/32", true},
		{"10.0.0.0/8 192.0.2.0/24", "10.0.0.0/8", false},
		{"2001:db8::/32", "0.0.0.0/0", false},
		{"10.0.0.0/8", "::/0", false},
	} {
		networks, others := apikey.ParseCIDRs(strings.Fields(tt.networks)), apikey.ParseCIDRs(strings.Fields(tt.others))
		if got := networks.Within(others); got != tt.want {
			t.Errorf("%q within %q: %t", tt.networks, tt.others, got)
		}
	}
	// Whatever is within others contains no address that those do not.
	random := func() (c apikey.CIDRs) {
		for range rand.IntN(3) + 1 {
			c = append(c, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(rand.IntN(4))}), 13+rand.IntN(5)).Masked())
		}
		return c
	}
	for range 2000 {
		a, b := random(), random()
		from := netip.AddrFrom4([4]byte{10, byte(rand.IntN(8)), byte(rand.IntN(256))})
		if a.Within(b) && a.Contain(from) && !b.Contain(from) {
			t.Fatalf("%s is within %s, which lacks %s", a, b, from)
		}
	}
}

// A network that is accepted is kept as it is: its text is read back as the same network.
func FuzzParseCIDR(f *testing.F) {
	for _, text := range []string{"192.0.2.0/24", "::ffff:192.0.2.7", "2001:db8::/32", "10.0.0.1/8", "fe80::1%eth0", "/", "::/0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		network := apikey.ParseCIDR(text)
		if err := apikey.CheckCIDRs("f", apikey.CIDRs{network}); err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 300 {
				t.Errorf("%q: the error is %q", text, err)
			}
			return
		}
		again := apikey.ParseCIDR(network.String())
		if again != network || !network.Contains(network.Addr()) || network.Addr().Is4In6() && network.Bits() >= 96 {
			t.Errorf("%q is %s, and read again %s", text, network, again)
		}
	})
}
