package handlers

import "testing"

func TestNetwork(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.1:1234":                  "192.0.2.1/32",
		"192.0.2.1":                       "192.0.2.1/32",
		"[2001:db8:1:2:3:4:5:6]:1":        "2001:db8:1:2::/64",
		"[2001:db8:1:2::]:2":              "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1":            "2001:db8:1:2::/64",
		"[2001:db8:1:3::1]:1":             "2001:db8:1:3::/64",
		"[fe80::1%eth0]:1":                "fe80::/64",
		"[::ffff:192.0.2.1]:1":            "192.0.2.1/32",
		"[::1]:1":                         "::/64",
		"":                                "invalid Prefix",
		"@":                               "invalid Prefix",
		"a unix socket":                   "invalid Prefix",
		"192.0.2.1:1:1":                   "invalid Prefix",
		"example.com:80":                  "invalid Prefix",
		"[2001:db8:1:2:3:4:5:6%zone]:443": "2001:db8:1:2::/64",
	} {
		if got := network(remote).String(); got != want {
			t.Errorf("network(%q) = %s, want %s", remote, got, want)
		}
	}
}
