//go:build full

package gateways_test

import (
	"net"
	"net/http"
	"testing"
)

// asFrom returns the same kit whose client connects to the gateway from this address of 127.0.0.0/8.
func (k *kit) asFrom(t *testing.T, address string) *kit {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DisableCompression: true, DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	same := *k.world
	same.client = &http.Client{Transport: transport, Timeout: patience}
	return &kit{k.T, &same}
}

// networksAreChecked checks that a key's networks are compared with the address that connected to the gateway,
// whatever the client says about itself.
func networksAreChecked(k *kit) {
	from := func(name string, networks ...string) key {
		return k.key(fields{"name": name, "scopes": []string{"reports:read"}, "allowed_cidrs": networks})
	}
	near, far := from("near", "127.0.0.2"), from("far", "192.0.2.0/24", "::/0", "127.0.0.1/32")
	theirs := k.key(fields{"name": "theirs", "owner": "near", "scopes": []string{"reports:read"}, "allowed_cidrs": []string{"127.0.0.0/8"}})
	k.manage("PATCH", "/v1/owners/near", fields{"allowed_cidrs": []string{"127.0.0.2"}}, http.StatusOK, nil)
	client := k.asFrom(k.T, "127.0.0.2")
	lies := map[string]http.Header{
		"nothing":             {},
		"a forged address":    {"X-Forwarded-For": {"192.0.2.7"}},
		"two":                 {"X-Forwarded-For": {"192.0.2.7, 192.0.2.8"}},
		"two lines":           {"X-Forwarded-For": {"192.0.2.7", "192.0.2.8"}},
		"the gateway's":       {"X-Forwarded-For": {"192.0.2.7, 127.0.0.1"}},
		"no address":          {"X-Forwarded-For": {"unknown"}},
		"an empty one":        {"X-Forwarded-For": {""}},
		"a comma":             {"X-Forwarded-For": {"192.0.2.7,"}},
		"in lower case":       {"x-forwarded-for": {"192.0.2.7"}},
		"with underscores":    {"X_Forwarded_For": {"192.0.2.7"}},
		"other headers":       {"X-Real-Ip": {"192.0.2.7"}, "Forwarded": {"for=192.0.2.7"}, "X-Client-Ip": {"192.0.2.7"}},
		"to be taken away":    {"Connection": {"X-Forwarded-For"}, "X-Forwarded-For": {"192.0.2.7"}},
		"only to take it out": {"Connection": {"close, X-Forwarded-For"}},
	}
	for name, lie := range lies {
		as := func(of key) http.Header {
			header := lie.Clone()
			header["X-Api-Key"] = []string{of.Secret}
			return header
		}
		client.Run(name, func(k *kit) {
			k.passes(request{path: "/reports/1", header: as(near)})
			k.refused(request{path: "/reports/1", header: as(far)}, http.StatusForbidden)
			k.passes(request{path: "/reports/1", header: as(theirs)})
		})
	}
	k.asFrom(k.T, "127.0.0.3").refused(request{path: "/reports/1", header: with(theirs.Secret)}, http.StatusForbidden)
	// A gateway that apikeyd does not trust speaks for nobody.
	k.asked.become(untrusted)
	defer k.asked.become(answering)
	client.refused(request{path: "/reports/1", header: with(near.Secret)}, http.StatusForbidden)
	client.refused(request{path: "/reports/1", header: with(far.Secret)}, http.StatusForbidden)
	client.passes(request{path: "/reports/1", header: with(k.reader("anywhere").Secret)})
}
