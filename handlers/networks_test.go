package handlers_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"apikeyd/apikey"
	"apikeyd/handlers"
)

const addressNotAllowed = "ADDRESS_NOT_ALLOWED"

// restricted makes a key for two networks.
func (k *kit) restricted(networks ...string) key {
	k.Helper()
	if networks == nil {
		networks = []string{"192.0.2.0/24", "2001:db8::/32"}
	}
	return k.mustCreate(k.admin, fields{"name": "restricted " + apikey.NewID().String(), "owner": "team",
		"scopes": []string{"keys:read", "keys:write", "a"}, "allowed_cidrs": networks})
}

// askFrom asks verify about a call from an address.
func (k *kit) askFrom(secret, address string, scopes ...string) response {
	k.Helper()
	body := fields{"key": secret, "client_address": address}
	if len(scopes) > 0 {
		body["scopes"] = scopes
	}
	return k.do(request{method: "POST", path: verifyPath, key: k.admin.Secret, body: body.json()})
}

func (k *kit) introspectFrom(token, address string) response {
	k.Helper()
	body := url.Values{"token": {token}, "client_address": {address}}.Encode()
	return k.do(request{method: "POST", path: introspectPath, key: k.admin.Secret, header: formHeader, body: body})
}

// from makes a call with headers of proxies.
func (k *kit) from(path, secret string, forwardedFor ...string) response {
	k.Helper()
	header := http.Header{}
	for _, line := range forwardedFor {
		header.Add("X-Forwarded-For", line)
	}
	return k.do(request{path: path, key: secret, header: header, foreign: true})
}

func (k *kit) wantCode(answer response, code string) {
	k.Helper()
	if got := decode[struct{ Code string }](answer.want(200)).Code; got != code {
		k.Errorf("%s answers %s, want %s", answer.request, got, code)
	}
}

// behindProxy trusts the test itself.
func behindProxy(c *handlers.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
}

func TestNetworksOfAKey(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.mustCreate(k.admin, fields{"name": "n", "allowed_cidrs": []string{"192.0.2.7", "::ffff:198.51.100.0/120", "2001:DB8::/32"},
		"observe_cidrs": []string{"0.0.0.0/0"}})
	path := keyPath(made.ID)
	networks := func(answer response) [2][]string {
		k.Helper()
		got := decode[struct {
			Allowed []string `json:"allowed_cidrs"`
			Observe []string `json:"observe_cidrs"`
		}](answer.want(200))
		return [2][]string{got.Allowed, got.Observe}
	}
	want := [2][]string{{"192.0.2.7/32", "198.51.100.0/24", "2001:db8::/32"}, {"0.0.0.0/0"}}
	for _, answer := range []response{k.get(k.admin, path), k.patch(k.admin, path, fields{}), k.patch(k.admin, path, fields{"name": "m"}),
		k.rotate(k.admin, path, nil), k.patch(k.admin, path, fields{"enabled": true})} {
		if diff := cmp.Diff(want, networks(answer)); diff != "" {
			k.Errorf("%s (-want +got):\n%s", answer.request, diff)
		}
	}
	for _, none := range []any{[]string{}, nil} {
		k.patch(k.admin, path, fields{"allowed_cidrs": []string{"10.0.0.0/8"}, "observe_cidrs": []string{"::/0"}}).want(200)
		if got := networks(k.patch(k.admin, path, fields{"allowed_cidrs": none})); got[0] != nil || got[1] == nil {
			k.Errorf("without allowed_cidrs the key has %q", got)
		}
		if got := networks(k.patch(k.admin, path, fields{"observe_cidrs": none})); got[1] != nil {
			k.Errorf("without observe_cidrs the key has %q", got)
		}
	}
	answer := k.patch(k.admin, path, fields{"allowed_cidrs": []string{"192.0.2.7/24"}}).invalid("allowed_cidrs")
	if fix := "write 192.0.2.0/24 for the network, or 192.0.2.7 for the one address"; !strings.Contains(answer.Message, fix) {
		k.Errorf("the refusal of host bits lacks %q: %s", fix, answer.Message)
	}
	k.revoke(k.admin, path).want(200)
}

func TestVerifyClientAddress(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	made := k.restricted()
	for address, code := range map[string]string{
		"192.0.2.7": "VALID", "192.0.2.255": "VALID", "192.0.2.7:443": "VALID", "::ffff:192.0.2.7": "VALID",
		"2001:db8::7": "VALID", "[2001:db8::7]": "VALID", "[2001:db8::7]:443": "VALID", "2001:db8::7%eth0": "VALID",
		"192.0.3.7": addressNotAllowed, "2001:db9::": addressNotAllowed, "127.0.0.1": addressNotAllowed, "::": addressNotAllowed,
		"::ffff:192.0.3.7": addressNotAllowed,
	} {
		k.wantCode(k.askFrom(made.Secret, address), code)
		k.wantCode(k.askFrom(made.Secret, address, "a"), code)
		k.wantCode(k.askFrom(k.admin.Secret, address), "VALID")
		active := fmt.Sprintf(`"active":%t`, code == "VALID")
		if got := k.introspectFrom(made.Secret, address).want(200); !strings.Contains(string(got.raw), active) {
			k.Errorf("introspection from %s: %s", address, got.raw)
		}
	}
	k.wantCode(k.ask(k.admin, made.Secret), addressNotAllowed) // even though the caller itself has an address
	k.wantCode(k.askFrom(made.Secret, "198.51.100.1", "lacking"), addressNotAllowed)
	k.wantCode(k.askFrom(made.Secret, "192.0.2.7", "lacking"), "INSUFFICIENT_SCOPE")
	k.wantCode(k.askFrom("nonsense", "198.51.100.1"), "NOT_FOUND")

	for _, address := range []string{"", " ", "unknown", "192.0.2", "192.0.2.7/32", "192.0.2.7, 192.0.2.8", " 192.0.2.7", "192.0.2.7:99999", "[192.0.2.7]",
		"localhost", "::ffff:192.0.2.777", "192.0.2.7\n", strings.Repeat("1", 65), made.Secret} {
		k.askFrom(made.Secret, address).invalid("client_address")
		k.askFrom(k.admin.Secret, address, "a").invalid("client_address")
	}
	k.introspectFrom(made.Secret, "unknown").invalid("client_address")

	// A change is in force at the next call, for remembered keys too.
	path := keyPath(made.ID)
	k.patch(k.admin, path, fields{"allowed_cidrs": []string{"198.51.100.1"}}).want(200)
	k.wantCode(k.askFrom(made.Secret, "192.0.2.7"), addressNotAllowed)
	k.wantCode(k.askFrom(made.Secret, "198.51.100.1"), "VALID")
	// A refused call uses up nothing.
	k.patch(k.admin, path, fields{"quota": fields{"limit": 1, "period": "day"}, "rate_limit": fields{"limit": 1, "window_seconds": 60}}).want(200)
	for range 3 {
		k.wantCode(k.askFrom(made.Secret, "192.0.2.7"), addressNotAllowed)
	}
	k.wantCode(k.askFrom(made.Secret, "198.51.100.1"), "VALID")
	// Whatever ends the key comes first.
	for _, tt := range []struct {
		end  func()
		code string
	}{
		{func() { k.patch(k.admin, path, fields{"enabled": false}).want(200) }, "DISABLED"},
		{func() { k.revoke(k.admin, path).want(200) }, "REVOKED"},
	} {
		tt.end()
		k.wantCode(k.askFrom(made.Secret, "192.0.2.7"), tt.code)
	}
}

// A gateway that is not trusted, or does not say who its client is, speaks for nobody.
func TestForwardAuthClientAddress(t *testing.T) {
	t.Parallel()
	untrusting, trusting := newKit(t), newKit(t, behindProxy)
	everywhere := []string{"0.0.0.0/0", "::/0"}
	for _, k := range []*kit{untrusting, trusting} {
		wide, narrow := k.restricted(everywhere...), k.restricted()
		for name, tt := range map[string]struct {
			lines        []string
			wide, narrow bool // whether the key passes at a service that trusts the gateway
		}{
			"no header":                         {nil, false, false},
			"an empty header":                   {[]string{""}, false, false},
			"the client":                        {[]string{"192.0.2.7"}, true, true},
			"the client with a port":            {[]string{"192.0.2.7:443"}, true, true},
			"a mapped client":                   {[]string{"::ffff:192.0.2.7"}, true, true},
			"another client":                    {[]string{"198.51.100.1"}, true, false},
			"a forged entry before":             {[]string{"192.0.2.7, 198.51.100.1"}, true, false},
			"a forged line before":              {[]string{"192.0.2.7", "198.51.100.1"}, true, false},
			"a client that forges":              {[]string{"198.51.100.1, 192.0.2.7"}, true, true},
			"behind another trusted proxy":      {[]string{"192.0.2.7, 10.0.0.9"}, true, true},
			"forged behind a trusted proxy":     {[]string{"192.0.2.7, 198.51.100.1, 10.0.0.9"}, true, false},
			"no address":                        {[]string{"unknown"}, false, false},
			"no address, after a forged one":    {[]string{"192.0.2.7, unknown"}, false, false},
			"a broken address from far proxies": {[]string{"192.0.2.7, _hidden, 10.0.0.9"}, false, false},
		} {
			for secret, passes := range map[string]bool{wide.Secret: tt.wide, narrow.Secret: tt.narrow, k.admin.Secret: true} {
				answer := k.from(forwardPath, secret, tt.lines...)
				if !passes || k == untrusting && secret != k.admin.Secret {
					answer.refused(403, addressNotAllowed)
				} else if answer.status != 200 {
					k.Errorf("%s: %d %s", name, answer.status, answer.raw)
				}
			}
		}
		k.from(forwardPath+"?scope=lacking", narrow.Secret, "198.51.100.1").refused(403, addressNotAllowed)
		k.from(forwardPath+"?scope=scope,", narrow.Secret, "198.51.100.1").refused(403, addressNotAllowed)
	}
}

// A caller's own networks are those of its connection, or of what a trusted proxy says.
func TestCallersOwnNetworks(t *testing.T) {
	t.Parallel()
	direct, proxied := newKit(t), newKit(t, behindProxy)
	local, far := []string{"127.0.0.0/8"}, []string{"192.0.2.0/24"}

	k := direct
	k.from(keysPath, k.restricted(local...).Secret).want(200)
	k.from(keysPath, k.restricted(far...).Secret).refused(403, addressNotAllowed)
	for _, forged := range []string{"192.0.2.7", "127.0.0.1", "", "unknown"} {
		k.from(keysPath, k.restricted(local...).Secret, forged).refused(403, addressNotAllowed) // there is a proxy that nobody trusts
		k.from(keysPath, k.restricted(far...).Secret, forged).refused(403, addressNotAllowed)
		k.from(keysPath, k.admin.Secret, forged).want(200)
	}

	k = proxied
	k.from(keysPath, k.restricted(local...).Secret).want(200) // the proxy's machine itself
	k.from(keysPath, k.restricted(local...).Secret, "192.0.2.7").refused(403, addressNotAllowed)
	k.from(keysPath, k.restricted(local...).Secret, "unknown").refused(403, addressNotAllowed)
	k.from(keysPath, k.restricted(far...).Secret, "192.0.2.7").want(200)
	k.from(keysPath, k.restricted(far...).Secret, "192.0.2.7, 198.51.100.1").refused(403, addressNotAllowed)

	answer := k.from(keysPath, k.restricted(far...).Secret, "198.51.100.1").refused(403, addressNotAllowed)
	if !strings.Contains(answer.Message, "198.51.100.1") {
		k.Errorf("the refusal does not name the address: %s", answer.Message)
	}
}

// A restricted key makes only keys like itself, unless it is an admin's.
func TestRestrictedCreators(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	local := k.restricted("127.0.0.0/8")
	got := func(answer response) []string {
		k.Helper()
		return decode[struct {
			Networks []string `json:"allowed_cidrs"`
		}](answer.want(201)).Networks
	}
	if inherited := got(k.create(local, fields{"name": "1"})); !cmp.Equal(inherited, []string{"127.0.0.0/8"}) {
		k.Errorf("a restricted key passes on %q", inherited)
	}
	if narrower := got(k.create(local, fields{"name": "2", "allowed_cidrs": []string{"127.0.0.1"}})); !cmp.Equal(narrower, []string{"127.0.0.1/32"}) {
		k.Errorf("a restricted key makes one for %q", narrower)
	}
	for _, more := range []any{nil, []string{}, []string{"0.0.0.0/0"}, []string{"127.0.0.1", "192.0.2.7"}} {
		k.create(local, fields{"name": "3", "allowed_cidrs": more}).refused(403, "FORBIDDEN")
		k.patch(local, keyPath(local.ID), fields{"allowed_cidrs": more}).refused(403, "FORBIDDEN")
	}
	free := k.mustCreate(k.admin, fields{"name": "free", "owner": "team", "scopes": []string{"a"}})
	k.rotate(local, keyPath(free.ID), nil).refused(403, "FORBIDDEN")
	k.revoke(local, keyPath(free.ID)).refused(403, "FORBIDDEN")

	admin := k.mustCreate(k.admin, fields{"name": "admin 2", "scopes": []string{"keys:admin"}, "allowed_cidrs": []string{"127.0.0.0/8"}})
	if inherited := got(k.create(admin, fields{"name": "4"})); inherited != nil {
		k.Errorf("an admin passes on %q", inherited)
	}
	k.rotate(admin, keyPath(free.ID), nil).want(200)
}

// The networks of a key and of its owner must both contain an address.
func TestNetworksOfAnOwner(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	narrow := k.restricted("192.0.2.0/25")
	wide := k.mustCreate(k.admin, fields{"name": "wide", "owner": "team", "scopes": []string{"a"}})
	set := func(networks any) { k.patch(k.admin, ownerPath("team"), fields{"allowed_cidrs": networks}).want(200) }
	codes := func(key key, want map[string]string) {
		k.Helper()
		for address, code := range want {
			k.wantCode(k.askFrom(key.Secret, address), code)
			active := fmt.Sprintf(`"active":%t`, code == "VALID")
			if got := k.introspectFrom(key.Secret, address).want(200); !strings.Contains(string(got.raw), active) {
				k.Errorf("introspection from %s: %s", address, got.raw)
			}
		}
	}
	codes(wide, map[string]string{"192.0.2.200": "VALID", "10.0.0.1": "VALID"}) // cached from now on
	for range 2 {
		set([]string{"192.0.2.64/26", "192.0.2.128/25", "2001:db8::/32"})
		codes(wide, map[string]string{"192.0.2.200": "VALID", "::ffff:192.0.2.64": "VALID", "192.0.2.63": addressNotAllowed, "2001:db8::7": "VALID",
			"10.0.0.1": addressNotAllowed})
		codes(narrow, map[string]string{"192.0.2.200": addressNotAllowed, "192.0.2.64": "VALID", "192.0.2.63": addressNotAllowed,
			"2001:db8::7": addressNotAllowed})
		k.wantCode(k.ask(k.admin, wide.Secret), addressNotAllowed) // its address is unknown
		k.wantCode(k.askFrom(wide.Secret, "10.0.0.1", "lacking"), addressNotAllowed)
		set(nil)
		codes(wide, map[string]string{"192.0.2.63": "VALID"})
		k.wantCode(k.ask(k.admin, wide.Secret), "VALID")
	}
	// Keys that an owner gets later are bound too, and have no list of their own.
	set([]string{"127.0.0.0/8"})
	writer := k.mustCreate(k.admin, fields{"name": "writer", "owner": "team", "scopes": []string{"keys:read", "keys:write"}})
	if made := k.create(writer, fields{"name": "child"}).want(201); strings.Contains(string(made.raw), "allowed_cidrs") {
		k.Errorf("a new key has its owner's networks: %s", made.raw)
	}
	k.from(keysPath, writer.Secret).want(200)
	set([]string{"192.0.2.0/24"})
	k.from(keysPath, writer.Secret).refused(403, addressNotAllowed)
	k.from(keysPath, writer.Secret, "192.0.2.7").refused(403, addressNotAllowed) // there is a proxy that nobody trusts
	k.patch(writer, keyPath("child"), fields{"name": "renamed"}).refused(403, addressNotAllowed)

	trusting := newKit(t, behindProxy)
	client := trusting.mustCreate(trusting.admin, fields{"name": "client", "owner": "team"})
	trusting.patch(trusting.admin, ownerPath("team"), fields{"allowed_cidrs": []string{"192.0.2.0/24"}}).want(200)
	trusting.from(forwardPath, client.Secret, "192.0.2.7").want(200)
	trusting.from(forwardPath, client.Secret, "192.0.2.7, 198.51.100.1").refused(403, addressNotAllowed)
	trusting.from(forwardPath, client.Secret).refused(403, addressNotAllowed)
}
