package apikey_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"apikeyd/apikey"
)

var (
	slow = apikey.RateLimit{Limit: 1, Window: time.Minute}
	fast = apikey.RateLimit{Limit: 100, Window: time.Minute}
	none = apikey.RateLimit{}
)

// wantDenied expects an error with this word in its reason, or no error if word is empty.
func wantDenied(t *testing.T, what string, err error, word string) {
	t.Helper()
	var denied *apikey.DeniedError
	switch {
	case word == "" && err != nil:
		t.Errorf("%s is denied: %v", what, err)
	case word != "" && (!errors.As(err, &denied) || !strings.Contains(denied.Error(), word)):
		t.Errorf("%s: error is %v, want a denial that says %q", what, err, word)
	}
}

// holder returns a key of owner "o".
func holder(rate apikey.RateLimit, scopes ...string) apikey.Key {
	return apikey.Key{Settings: apikey.Settings{Owner: "o", Scopes: scopes, RateLimit: rate}}
}

// others returns a key of owner "p".
func others(rate apikey.RateLimit) apikey.Key {
	key := holder(rate)
	key.Owner = "p"
	return key
}

func TestMayCreate(t *testing.T) {
	const admin, write = apikey.ScopeAdmin, apikey.ScopeWrite
	for name, tt := range map[string]struct {
		creator apikey.Key
		key     apikey.Key
		reason  string
	}{
		"a key like itself":                {holder(none, write, "a"), holder(none, write, "a"), ""},
		"a scope that it lacks":            {holder(none, write), holder(none, "a"), "scopes"},
		"another owner's":                  {holder(none, write), others(none), "owner"},
		"another owner's, by an admin":     {holder(none, admin), others(none), ""},
		"with its own limit":               {holder(slow, write), holder(slow), ""},
		"without its limit":                {holder(slow, write), holder(none), "rate_limit"},
		"with a wider limit":               {holder(slow, write), holder(fast), "rate_limit"},
		"with a narrower limit":            {holder(fast, write), holder(slow), "rate_limit"},
		"with a limit that it has not":     {holder(none, write), holder(slow), "rate_limit"},
		"without its limit, by an admin":   {holder(slow, admin), holder(none), ""},
		"with another limit, by an admin":  {holder(slow, admin), holder(fast), ""},
		"limit and owner: the owner comes": {holder(none, write), others(slow), "owner"},
	} {
		wantDenied(t, name, tt.creator.MayCreate(tt.key), tt.reason)
	}
}

func TestMayChange(t *testing.T) {
	const admin, write = apikey.ScopeAdmin, apikey.ScopeWrite
	rate := func(r apikey.RateLimit) apikey.Change { return apikey.Change{RateLimit: &r} }
	scopes := func(s ...string) apikey.Change { return apikey.Change{Scopes: (*apikey.Scopes)(&s)} }
	metadata := apikey.Change{Metadata: &apikey.Metadata{"n": "v"}}
	for name, tt := range map[string]struct {
		caller, target apikey.Key
		change         apikey.Change
		reason         string
	}{
		"nothing":                           {holder(none, write), holder(slow), apikey.Change{}, ""},
		"nothing of a key above it":         {holder(none, write), holder(none, "a"), apikey.Change{}, "yours lacks"},
		"metadata":                          {holder(none, write), holder(slow), metadata, ""},
		"metadata of a key above it":        {holder(none, write), holder(none, "a"), metadata, "yours lacks"},
		"a scope that it lacks":             {holder(none, write), holder(none), scopes("a"), "scopes"},
		"a scope that it has":               {holder(none, write, "a"), holder(none), scopes("a"), ""},
		"the limit that is there":           {holder(none, write), holder(slow), rate(slow), ""},
		"no limit where there is none":      {holder(slow, write), holder(none), rate(none), ""},
		"a wider limit":                     {holder(fast, write), holder(slow), rate(fast), "rate_limit"},
		"a narrower limit":                  {holder(slow, write), holder(fast), rate(slow), "rate_limit"},
		"no limit":                          {holder(none, write), holder(slow), rate(none), "rate_limit"},
		"a limit where there is none":       {holder(slow, write), holder(none), rate(slow), "rate_limit"},
		"another limit, by an admin":        {holder(slow, admin), holder(slow), rate(fast), ""},
		"no limit, by an admin":             {holder(slow, admin), holder(slow), rate(none), ""},
		"limit and scopes of a key above":   {holder(none, write), holder(slow, admin), rate(slow), "yours lacks"},
		"a good limit and a bad scope":      {holder(none, write), holder(slow), apikey.Change{RateLimit: &slow, Scopes: &apikey.Scopes{"a"}}, "scopes"},
		"everything of another, by admin's": {holder(none, admin), holder(slow, admin, "a"), scopes("b"), ""},
	} {
		wantDenied(t, name, tt.caller.MayChange(tt.target, tt.change), tt.reason)
	}
}

func TestMayWriteAndReach(t *testing.T) {
	reader, writer, admin := holder(none, apikey.ScopeRead), holder(none, apikey.ScopeWrite), holder(none, apikey.ScopeAdmin)
	wantDenied(t, "writing with keys:read", reader.MayWrite(), apikey.ScopeWrite)
	wantDenied(t, "writing with keys:write", writer.MayWrite(), "")
	wantDenied(t, "writing with keys:admin", admin.MayWrite(), "")
	wantDenied(t, "its own owner", reader.MayReach("o"), "")
	wantDenied(t, "its own owner in capitals", writer.MayReach("O"), "owner")
	wantDenied(t, "another owner", writer.MayReach("p"), "owner")
	wantDenied(t, "another owner, by an admin", admin.MayReach("p"), "")
}

// The networks of a key bind the keys that it creates and manages, unless it is an admin's.
func TestNetworksAndAuthority(t *testing.T) {
	const admin, write = apikey.ScopeAdmin, apikey.ScopeWrite
	from := func(scope string, networks ...string) apikey.Key {
		key := holder(none, scope)
		key.AllowedCIDRs = apikey.ParseCIDRs(networks)
		return key
	}
	allow := func(networks ...string) apikey.Change {
		return apikey.Change{AllowedCIDRs: new(apikey.ParseCIDRs(networks))}
	}
	const wide, narrow, other = "10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24"
	for name, tt := range map[string]struct {
		actor, key apikey.Key
		reason     string
	}{
		"the same":                  {from(write, wide), from(write, wide), ""},
		"a part":                    {from(write, wide), from(write, narrow), ""},
		"more":                      {from(write, narrow), from(write, wide), "networks"},
		"another":                   {from(write, narrow), from(write, other), "networks"},
		"one more":                  {from(write, narrow), from(write, narrow, other), "networks"},
		"all":                       {from(write, narrow), from(write), "networks"},
		"some, by one that is free": {from(write), from(write, wide), ""},
		"all, by an admin":          {from(admin, narrow), from(write), ""},
	} {
		wantDenied(t, "creating "+name, tt.actor.MayCreate(tt.key), tt.reason)
		wantDenied(t, "managing "+name, tt.actor.MayManage(tt.key), tt.reason)
		wantDenied(t, "changing "+name, tt.actor.MayChange(tt.key, apikey.Change{}), tt.reason)
		wantDenied(t, "changing to "+name, tt.actor.MayChange(tt.actor, allow(networksOf(tt.key)...)), tt.reason)
	}
	wantDenied(t, "bringing in a key from elsewhere", from(write, narrow).MayChange(from(write), allow(narrow)), "networks")
	wantDenied(t, "observing from elsewhere", from(write, narrow).MayChange(from(write, narrow),
		apikey.Change{ObserveCIDRs: new(apikey.ParseCIDRs([]string{other}))}), "")
	if got := from(write, narrow).GrantableCIDRs().String() + from(admin, narrow).GrantableCIDRs().String(); got != narrow {
		t.Errorf("a key and an admin pass on %q", got)
	}
}

func networksOf(k apikey.Key) []string { return strings.Fields(k.AllowedCIDRs.String()) }
